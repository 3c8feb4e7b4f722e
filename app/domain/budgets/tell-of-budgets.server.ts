import { raiseNotice } from '#app/domain/notifications/notices.server.ts'
import { displayExact } from '#app/domain/pricing/currency.ts'
import { inSystem, systemPool, type Tx } from '#app/platform/db.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import { type BudgetPeriod, markReached, percentOf, periodNames } from './budgets.ts'

const kind = 'budget'
/** Longer than any window: a notice is raised once, also where it was dismissed. */
const quietMs = 40 * 86_400_000

interface Spent {
  workspaceId: string
  id: string
  name: string
  period: BudgetPeriod
  hard: boolean
  currency: string
  limitPico: string
  day: string
  spentPico: string
  told: number
}

const columns = `b.workspace_id::text AS "workspaceId", b.id::text, b.name, b.period, b.hard, b.currency,
  trunc(b.limit_amount * 1000000000000)::text AS "limitPico", w.day::text AS day, coalesce(s.spent_pico, 0)::text AS "spentPico",
  coalesce(s.told_percent, 0) AS told`
const tables = `budgets b
  CROSS JOIN LATERAL (SELECT metering.budget_window(b.period, b.workspace_id, clock_timestamp()) AS day) w
  LEFT JOIN metering.budget_spend s ON s.workspace_id = b.workspace_id AND s.budget_id = b.id AND s.window_start = w.day`

/** Budgets whose window has come to a mark that nobody was told of. */
const due = `SELECT ${columns} FROM ${tables}
  WHERE b.enabled AND s.spent_pico * 100 >= b.limit_amount * 1000000000000 * CASE WHEN s.told_percent < 50 THEN 50 WHEN s.told_percent < 80 THEN 80 ELSE 100 END
    AND s.told_percent < 100 AND s.spent_pico > 0`

const amountsOf = ({ spentPico, limitPico, currency }: Spent): [spent: string, limit: string] => [
  displayExact(BigInt(spentPico), currency),
  displayExact(BigInt(limitPico), currency),
]

const whatNext = (hard: boolean, mark: number): string => {
  if (!hard) return 'Calls go on: this budget only tells.'
  return mark === 100
    ? 'Calls that it counts are refused until the next window.'
    : 'At 100 % calls that it counts are refused.'
}

async function tellOne(tx: Tx, budget: Spent, at: Date): Promise<void> {
  const { workspaceId, id, day, name, period, hard } = budget
  const mark = markReached(percentOf(BigInt(budget.spentPico), BigInt(budget.limitPico)))
  const told = await tx.$executeRaw`
    UPDATE metering.budget_spend SET told_percent = ${mark}::int WHERE workspace_id = ${workspaceId}::uuid
       AND budget_id = ${id}::uuid AND window_start = ${day}::date AND told_percent < ${mark}::int`
  if (!told) return
  await tx.$executeRaw`
    UPDATE notices SET dismissed_at = ${at} WHERE workspace_id = ${workspaceId}::uuid AND kind = ${kind} AND dismissed_at IS NULL
       AND reference LIKE ${`${id}:%`}`
  const [spent, limit] = amountsOf(budget)
  await raiseNotice(tx, {
    ...{ workspaceId, kind, reference: `${id}:${day}:${mark}`, path: 'settings/budgets', at, quietMs },
    title: `A budget has reached ${mark} %`,
    message: `The budget “${name}” has come to ${spent} of ${limit} in this ${periodNames[period]}. ${whatNext(hard, mark)}`,
  })
}

/** Notices of windows that are over, and of budgets that are off or gone, say nothing any more. */
const forgetOld = `
  UPDATE notices n SET dismissed_at = $1 WHERE n.kind = '${kind}' AND n.dismissed_at IS NULL AND NOT EXISTS (
    SELECT FROM budgets b WHERE b.workspace_id = n.workspace_id AND b.enabled AND b.id::text = split_part(n.reference, ':', 1)
       AND metering.budget_window(b.period, b.workspace_id, clock_timestamp())::text = split_part(n.reference, ':', 2))`

/**
 * Tells the people of each workspace whose budgets have come to 50, 80 or 100 %: once per mark and window, by notice and mail.
 * @returns how many budgets were told of
 */
export async function tellOfBudgets(at: Date): Promise<number> {
  await systemPool().query(forgetOld, [at])
  const { rows } = await systemPool().query<Spent>(due)
  for (const budget of rows) await inSystem((tx) => tellOne(tx, budget, at))
  return rows.length
}

/** How often a process asks the database whether a refusal was told of, per budget, in ms. */
const askAgainMs = 60_000

/** Tells that a budget has refused a call, once per window. Called with every refusal; nothing waits for it. */
export async function tellOfRefusal(workspaceId: string, budgetId: string, at: Date): Promise<void> {
  const asked = singleton('budgets:refusals', () => new Map<string, number>())
  if (at.getTime() - (asked.get(budgetId) ?? Number.NEGATIVE_INFINITY) < askAgainMs) return
  if (asked.size >= 10_000) asked.clear()
  asked.set(budgetId, at.getTime())
  const { rows } = await systemPool().query<Spent>(
    `SELECT ${columns} FROM ${tables} WHERE b.workspace_id = $1 AND b.id = $2`,
    [workspaceId, budgetId],
  )
  const [budget] = rows
  if (!budget) return
  const [spent, limit] = amountsOf(budget)
  await inSystem((tx) =>
    raiseNotice(tx, {
      ...{ workspaceId, kind, reference: `${budgetId}:${budget.day}:refused`, path: 'settings/budgets', at, quietMs },
      title: 'A budget has refused a call',
      message: `What a call may come to did not fit into the budget “${budget.name}”: ${spent} of ${limit} are spent in this ${periodNames[budget.period]}. Raise it, or wait for the next window.`,
    }),
  )
}
