import type { RunState } from '#app/domain/billing/billing.ts'
import type { OperatorInvoice } from '#app/domain/billing/queries.server.ts'
import { type CalendarMonth, monthName } from '#app/platform/calendar-month.ts'
import { displayCents } from '#app/platform/pico.ts'
import { count, counted, exactMoney } from '#app/ui/money.ts'
import type { Tone } from '#app/ui/status-badge.tsx'
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

export function toRunsView(runs: OperatorInvoice[], filter: RunsView['filter']): RunsView {
  return {
    filter,
    states: Object.entries(runStates).map(([value, [label]]) => ({ value, label })),
    months: byMonth(runs),
    runs: runs.map((run) => ({
      id: run.runId,
      workspaceId: run.workspaceId,
      workspace: run.workspaceName,
      month: `${monthName(run.month as CalendarMonth)}${run.revision > 1 ? `, revision ${run.revision}` : ''}`,
      state: run.state,
      stateName: `${runStates[run.state][0]}${run.stripeStatus ? ` (${run.stripeStatus})` : ''}`,
      tone: runStates[run.state][1],
      number: run.stripeInvoiceNumber ?? '–',
      calls: count(run.calls),
      exact: exactMoney(run.exactPico),
      total: displayCents(BigInt(run.totalCents)),
      reason: [run.heldReason, run.heldDetail].filter(Boolean).join(': ') || null,
      remedy: run.heldRemedy,
    })),
  }
}
