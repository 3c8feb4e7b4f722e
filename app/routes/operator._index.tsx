import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import type { RunState } from '#app/domain/billing/billing.ts'
import { listInvoiceRuns } from '#app/domain/billing/queries.server.ts'
import { releaseInvoiceRun } from '#app/domain/billing/release-invoice-run.server.ts'
import { intent, operatorAction, operatorLoader } from '#app/http/route.server.ts'
import { parseMonth } from '#app/platform/calendar-month.ts'
import { type ReleaseAnswer, RunsPage, type RunsView } from '#app/ui/operator/runs-page.tsx'
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
  return toRunsView(runs, { month, state })
})

export const action = operatorAction({
  'release-run': intent({
    demand: 'operate:Platform',
    schema: z.strictObject({ workspaceId: z.uuid(), runId: z.uuid() }),
    run: async (ctx, input) => {
      await releaseInvoiceRun(ctx, input)
      return { message: 'Released. The run goes on within moments.' }
    },
  }),
})

export default function Runs() {
  return <RunsPage view={useLoaderData<RunsView>()} answer={useActionData<ReleaseAnswer>()} />
}
