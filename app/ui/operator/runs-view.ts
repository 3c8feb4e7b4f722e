import type { RunState } from '#app/domain/billing/billing.ts'
import type { OperatorInvoice } from '#app/domain/billing/queries.server.ts'
import { displayExact, displayMinor } from '#app/domain/pricing/currency.ts'
import { type CalendarMonth, monthName } from '#app/platform/calendar-month.ts'
import { count, counted } from '#app/ui/money.ts'
import type { Tone } from '#app/ui/status-badge.tsx'
import { utcMinute } from '#app/ui/time.ts'
import type { RunsView } from './runs-page.tsx'

export const runStates: Record<RunState, [name: string, tone: Tone]> = {
  held: ['Held', 'yellow'],
  frozen: ['Frozen', 'gray'],
  writing: ['Writing to Stripe', 'gray'],
  review: ['In review', 'yellow'],
  done: ['Done', 'teal'],
  done_zero: ['Nothing owed', 'gray'],
  carried: ['Carried', 'gray'],
  uncollectable: ['Uncollectable', 'red'],
  superseded: ['Superseded', 'gray'],
  settled: ['Settled by hand', 'gray'],
}

function byMonth(runs: OperatorInvoice[]): RunsView['months'] {
  const months = Map.groupBy(runs, (run) => run.month)
  return [...months].map(([month, those]) => {
    const states = Map.groupBy(those, (run) => run.state)
    const counts = [...states].map(([state, of]) => `${of.length} ${runStates[state][0].toLowerCase()}`)
    return {
      month,
      name: monthName(month as CalendarMonth),
      counts: `${counted(BigInt(those.length), 'run')}: ${counts.join(', ')}`,
    }
  })
}

/** Why it stands still: an operator's own words, or what was found, in words. */
export function detailOf({
  heldReason,
  heldDetail,
}: Pick<OperatorInvoice, 'heldReason' | 'heldDetail'>): string | null {
  const what = heldReason === 'operator_hold' ? 'The reason given' : heldReason?.replaceAll('_', ' ')
  return [what, heldDetail].filter(Boolean).join(': ') || null
}

interface Around {
  reviewHours: number
  /** Totals of the month before, by month and workspace. */
  before: Record<string, Record<string, string>>
}

/** A draft in review beside the month before: what an operator looks for. */
function reviewOf(run: OperatorInvoice, before: Around['before']): RunsView['reviews'][number] {
  const last = before[run.month]?.[run.workspaceId]
  return {
    id: run.runId,
    workspace: run.workspaceName,
    month: monthName(run.month),
    total: displayMinor(BigInt(run.totalCents), run.currency),
    before: last === undefined ? 'no invoice' : displayMinor(BigInt(last), run.currency),
    until: run.reviewUntil ? utcMinute(run.reviewUntil) : '–',
  }
}

export const runStateChoices = Object.entries(runStates).map(([value, [label]]) => ({ value, label }))

export function toRunsView(
  runs: OperatorInvoice[],
  filter: RunsView['filter'],
  { reviewHours, before }: Around,
): RunsView {
  return {
    filter,
    reviewHours,
    wait: reviewHours === 0 ? 'go out at once' : `wait ${counted(BigInt(reviewHours), 'hour')}`,
    reviews: runs.filter((run) => run.state === 'review').map((run) => reviewOf(run, before)),
    states: runStateChoices,
    months: byMonth(runs),
    runs: runs.map((run) => ({
      id: run.runId,
      workspace: run.workspaceName,
      month: `${monthName(run.month)}${run.kind === 'correction' ? ', correction' : ''}${run.revision > 1 ? `, revision ${run.revision}` : ''}`,
      state: run.state,
      stateName: `${runStates[run.state][0]}${run.stripeStatus ? ` (${run.stripeStatus})` : ''}`,
      tone: runStates[run.state][1],
      number: run.stripeInvoiceNumber ?? '–',
      calls: count(run.calls),
      exact: displayExact(BigInt(run.exactPico), run.currency),
      total: displayMinor(BigInt(run.totalCents), run.currency),
      reason: detailOf(run),
      remedy: run.heldRemedy,
    })),
  }
}
