import { budgetPeriods, budgetScopes, marks, periodNames, scopeNames } from '#app/domain/budgets/budgets.ts'
import type { BudgetChoices, BudgetRow } from '#app/domain/budgets/queries.server.ts'
import { displayExact } from '#app/domain/pricing/currency.ts'
import { utcDay } from '#app/ui/time.ts'

export interface BudgetView {
  id: string
  name: string
  what: string
  window: string
  spent: string
  reserved: string
  limit: string
  percent: number
  /** For the bar: at most 100. */
  filled: number
  tone: 'gray' | 'teal' | 'yellow' | 'red'
  kind: string
  counts: string
  enabled: boolean
  terms: { name: string; limit: string; hard: boolean; countsOwnKey: boolean }
  /** Of the limit, in capitals. */
  currency: string
}

export interface BudgetsView {
  budgets: BudgetView[]
  canManage: boolean
  scopes: { value: string; label: string }[]
  periods: { value: string; label: string }[]
  /** What a budget can be for, by scope; empty where this person changes nothing. */
  targets: { value: string; label: string }[]
  marks: readonly number[]
  /** What limits of new budgets are in, in capitals; empty where this person makes none. */
  currency: string
  /** The budget whose form is open. */
  editing: string | null
}

const toneOf = (percent: number): BudgetView['tone'] => (percent >= 100 ? 'red' : percent >= 80 ? 'yellow' : 'teal')

function toBudget(row: BudgetRow): BudgetView {
  const { name, limit, hard, countsOwnKey, percent, enabled, currency } = row
  const money = (pico: bigint) => displayExact(pico, currency)
  const of =
    row.scope === 'workspace' ? scopeNames.workspace : `${row.scopeName ?? 'something that is gone'} (${row.scope})`
  return {
    id: row.id,
    name,
    what: `${of}, per ${periodNames[row.period]}`,
    window: `${utcDay(row.windowStart)} to before ${utcDay(row.windowEnd)}, UTC`,
    spent: money(row.spentPico),
    reserved: money(row.reservedPico),
    limit: money(row.limitPico),
    percent,
    filled: Math.min(100, percent),
    tone: enabled ? toneOf(percent) : 'gray',
    kind: hard ? 'Refuses what does not fit' : 'Only tells',
    counts: countsOwnKey
      ? 'Counts charges, credits, and what providers bill your own keys'
      : 'Counts charges and credits, not what providers bill your own keys',
    enabled,
    terms: { name, limit, hard, countsOwnKey },
    currency: currency.toUpperCase(),
  }
}

/** One list for all scopes: without scripts nothing could follow the choice of a scope. */
function targetsOf({ tokens, members, keys }: BudgetChoices): BudgetsView['targets'] {
  const of = (scope: string, label: string, rows: { id: string; name: string }[]) =>
    rows.map(({ id, name }) => ({ value: `${scope}:${id}`, label: `${label}: ${name}` }))
  return [
    { value: 'workspace:', label: scopeNames.workspace },
    ...of('token', 'Gateway token', tokens),
    ...of('member', 'Member, by their tokens', members),
    ...of('key', 'Provider key', keys),
  ]
}

export const toBudgetsView = (
  rows: BudgetRow[],
  choices: BudgetChoices | null,
  editing: string | null,
): BudgetsView => ({
  budgets: rows.map(toBudget),
  canManage: choices !== null,
  scopes: budgetScopes.map((value) => ({ value, label: scopeNames[value] })),
  periods: budgetPeriods.map((value) => ({ value, label: `Per ${periodNames[value]}` })),
  targets: choices ? targetsOf(choices) : [],
  marks,
  currency: choices?.currency.toUpperCase() ?? '',
  editing: choices && editing,
})
