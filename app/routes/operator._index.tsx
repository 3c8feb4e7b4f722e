import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import type { RunState } from '#app/domain/billing/billing.ts'
import { totalsOfMonth } from '#app/domain/billing/operate-invoice.server.ts'
import { listInvoiceRuns } from '#app/domain/billing/queries.server.ts'
import { readReviewHours, setReviewHours } from '#app/domain/billing/review-invoice.server.ts'
import { intent, operatorAction, operatorLoader } from '#app/http/route.server.ts'
import { parseMonth, shiftMonth } from '#app/platform/calendar-month.ts'
import { type RunsAnswer, RunsPage, type RunsView } from '#app/ui/operator/runs-page.tsx'
import { runStates, toRunsView } from '#app/ui/operator/runs-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Invoice runs · Keymargin' }]

const filter = z.object({
  month: z
    .string()
    .regex(/^(\d{4}-(0[1-9]|1[0-2]))?$/, 'write a month as YYYY-MM')
    .default(''),
  state: z.enum(['', ...(Object.keys(runStates) as RunState[])]).default(''),
})

export const loader = operatorLoader(async (ctx, { request }) => {
  const { month, state } = filter.parse(Object.fromEntries(new URL(request.url).searchParams))
  const runs = await listInvoiceRuns(ctx, { ...(state && { state }), ...(month && { month: parseMonth(month) }) })
  const waiting = [...new Set(runs.filter((run) => run.state === 'review').map((run) => run.month))]
  const before = Object.fromEntries(
    await Promise.all(waiting.map(async (one) => [one, await totalsOfMonth(ctx, shiftMonth(one, -1))] as const)),
  )
  return toRunsView(runs, { month, state }, { reviewHours: await readReviewHours(ctx), before })
})

export const action = operatorAction({
  'set-review-window': intent({
    demand: 'operate:Platform',
    schema: z.strictObject({ hours: z.string() }),
    run: async (ctx, { hours }) => {
      await setReviewHours(ctx, { hours: /^\d{1,4}$/.test(hours.trim()) ? Number(hours) : Number.NaN })
      return { message: 'Set. Drafts that wait already keep their time.' }
    },
  }),
})

export default function Runs() {
  return <RunsPage view={useLoaderData<RunsView>()} answer={useActionData<RunsAnswer>()} />
}
