import { type Pico, parsePico, picoToUsd } from '#app/platform/pico.ts'

export const budgetScopes = ['workspace', 'token', 'member', 'key'] as const
export type BudgetScope = (typeof budgetScopes)[number]

/** UTC. A week begins on Monday; `billing_month` is the month whose invoice carries the call, late usage included. */
export const budgetPeriods = ['day', 'week', 'month', 'billing_month'] as const
export type BudgetPeriod = (typeof budgetPeriods)[number]

export const scopeNames: Record<BudgetScope, string> = {
  workspace: 'The whole workspace',
  token: 'One gateway token',
  member: 'One member: all tokens that they made',
  key: 'One provider key',
}

export const periodNames: Record<BudgetPeriod, string> = {
  day: 'UTC day',
  week: 'UTC week, from Monday',
  month: 'UTC month',
  billing_month: 'billing month',
}

/** What its people are told of, each once per window, in percent of the limit. */
export const marks = [50, 80, 100] as const

/** How much of a limit is used, in whole percent, rounded down: 100 only where all of it is. */
export function percentOf(spentPico: Pico, limitPico: Pico): number {
  if (limitPico === 0n) return spentPico > 0n ? 100 : 0
  const percent = (spentPico * 100n) / limitPico
  return percent > 1_000_000n ? 1_000_000 : Number(percent)
}

/** The highest mark that is reached; 0: none. */
export const markReached = (percent: number): number => marks.findLast((mark) => percent >= mark) ?? 0

/** Largest limit, as the table has it. */
const largestPico = 1_000_000n * 1_000_000_000_000n

/** A limit as typed, in whatever currency: `25`, `12.50`, `$5`. Null where it is none. A limit of 0 allows nothing. */
export function readLimit(text: string): string | null {
  const typed = text.trim().replace(/^[$€£¥]\s*/, '')
  const pico = /^\d{1,7}(\.\d{1,12})?$/.test(typed) ? parsePico(typed) : undefined
  return pico !== undefined && pico <= largestPico ? picoToUsd(pico) : null
}

/** First day of the UTC window that an instant falls into; the database does the same. `billing_month` is not known here. */
export function windowStart(period: Exclude<BudgetPeriod, 'billing_month'>, at: Date): string {
  const day = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()))
  if (period === 'month') day.setUTCDate(1)
  if (period === 'week') day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7))
  return day.toISOString().slice(0, 10)
}

/** The day on which the window after this one begins. */
export function windowEnd(period: BudgetPeriod, start: string): string {
  const day = new Date(`${start}T00:00:00Z`)
  if (period === 'day') day.setUTCDate(day.getUTCDate() + 1)
  else if (period === 'week') day.setUTCDate(day.getUTCDate() + 7)
  else day.setUTCMonth(day.getUTCMonth() + 1)
  return day.toISOString().slice(0, 10)
}
