import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import type { RunState } from '#app/domain/billing/billing.ts'
import { totalsOfMonth } from '#app/domain/billing/operate-invoice.server.ts'
import { listInvoiceRuns } from '#app/domain/billing/queries.server.ts'
import { readReviewHours, setReviewHours } from '#app/domain/billing/review-invoice.server.ts'
import type { OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { refusedPage } from '#app/http/respond.server.ts'
import { intent, operatorAction, operatorLoader } from '#app/http/route.server.ts'
import { type CalendarMonth, parseMonth, shiftMonth } from '#app/platform/calendar-month.ts'
import { AppError } from '#app/platform/errors.ts'
import {
  RefusedRuns,
  type RefusedRunsView,
  type RunsAnswer,
  RunsPage,
  type RunsView,
} from '#app/ui/operator/runs-page.tsx'
import { runStateChoices, runStates, toRunsView } from '#app/ui/operator/runs-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Invoice runs · Keymargin' }]

const asText = (params: URLSearchParams) => ({ month: params.get('month') ?? '', state: params.get('state') ?? '' })

const isMonth = (text: string): boolean => /^\d{4}-(0[1-9]|1[0-2])$/.test(text)
const isState = (text: string): text is RunState => Object.hasOwn(runStates, text)

/** Empty is "all". @throws AppError bad_request `invalid_filter`, with the field */
function readFilter({ month, state }: RunsView['filter']): { month?: CalendarMonth; state?: RunState } {
  const refuse = (field: string, message: string) =>
    new AppError('bad_request', 'invalid_filter', `${field}: ${message}`, { field })
  if (month && !isMonth(month)) throw refuse('month', 'write a month as YYYY-MM.')
  if (state && !isState(state)) throw refuse('state', 'there is no such state. Choose one of the list.')
  return { ...(month && { month: parseMonth(month) }), ...(isState(state) && { state }) }
}

async function loadRuns(ctx: OperatorCtx, asked: RunsView['filter']): Promise<RunsView> {
  const runs = await listInvoiceRuns(ctx, readFilter(asked))
  const waiting = [...new Set(runs.filter((run) => run.state === 'review').map((run) => run.month))]
  const before = Object.fromEntries(
    await Promise.all(waiting.map(async (one) => [one, await totalsOfMonth(ctx, shiftMonth(one, -1))] as const)),
  )
  return toRunsView(runs, asked, { reviewHours: await readReviewHours(ctx), before })
}

export const loader = operatorLoader(async (ctx, { request }) => {
  const filter = asText(new URL(request.url).searchParams)
  try {
    return await loadRuns(ctx, filter)
  } catch (error) {
    const shown = { ...filter, month: isMonth(filter.month) ? filter.month : '' }
    return refusedPage(error, (refusal) => ({ refusal, filter: shown, states: runStateChoices }))
  }
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
  const view = useLoaderData<RunsView | RefusedRunsView>()
  const answer = useActionData<RunsAnswer>()
  return 'refusal' in view ? <RefusedRuns view={view} /> : <RunsPage view={view} answer={answer} />
}
