import { Prisma } from '#app/generated/prisma/client.ts'
import type { Tx } from '#app/platform/db.server.ts'
import type { BudgetPeriod, BudgetScope } from '../budgets.ts'

/** What a budget counts, and for whom. */
export interface Counts {
  scope: BudgetScope
  scopeId: string
  period: BudgetPeriod
  countsOwnKey: boolean
}

/** What a window had come to by calls dispatched before an instant, all of which are settled. */
export interface CountedBefore {
  /** First day of the window. */
  day: string
  until: string
  /** Integer as text. */
  pico: string
}

const ofScope = (workspaceId: string, { scope, scopeId }: Counts, which: { token: Prisma.Sql; key: Prisma.Sql }) => {
  if (scope === 'workspace') return Prisma.sql`true`
  if (scope === 'key') return Prisma.sql`${which.key}::text = ${scopeId}`
  if (scope === 'token') return Prisma.sql`${which.token}::text = ${scopeId}`
  return Prisma.sql`${which.token} IN (SELECT t.id FROM gateway_tokens t WHERE t.workspace_id = ${workspaceId}::uuid AND t.created_by = ${scopeId})`
}

/**
 * When the first call of a window was dispatched, at the earliest. A billing month carries late calls of the months before: how
 * far back they go, the rollups say. Without it every partition that there ever was would be gone through.
 */
const beginning = (workspaceId: string, { period }: Counts, day: string) =>
  period === 'billing_month'
    ? Prisma.sql`(SELECT min(r.day) FROM metering.call_daily_rollups r
        WHERE r.workspace_id = ${workspaceId}::uuid AND r.billing_month = ${day}::date)::timestamp AT TIME ZONE 'UTC'`
    : Prisma.sql`${day}::timestamp AT TIME ZONE 'UTC'`

/** Calls `c` of this gateway that the budget counts in the window. */
const callsOf = (workspaceId: string, counts: Counts, day: string) => Prisma.sql`
  c.workspace_id = ${workspaceId}::uuid AND c.origin <> 'import' AND c.dispatched_at >= (${beginning(workspaceId, counts, day)})
    ${counts.period === 'billing_month' ? Prisma.sql`AND c.billing_month = ${day}::date` : Prisma.empty}
    AND ${ofScope(workspaceId, counts, { token: Prisma.sql`c.token_id`, key: Prisma.sql`c.key_id` })}`

const ownCost = ({ countsOwnKey }: Counts, cost: Prisma.Sql) =>
  Prisma.sql`CASE WHEN c.key_source = 'workspace' AND ${countsOwnKey} THEN coalesce(${cost}, 0) ELSE 0 END`

async function windowNow(tx: Tx, workspaceId: string, { period }: Counts): Promise<string> {
  const [row] = await tx.$queryRaw<{ day: string }[]>`
    SELECT metering.budget_window(${period}, ${workspaceId}::uuid, clock_timestamp())::text AS day`
  return row?.day ?? ''
}

/** The calls of a window that nothing can be added to, summed. */
export const beforeQuery = (workspaceId: string, counts: Counts, day: string): Prisma.Sql => Prisma.sql`
  SELECT b.until::text, (
      SELECT coalesce(sum(coalesce(c.charge_pico, 0) + c.credit_pico + ${ownCost(counts, Prisma.sql`c.raw_cost_pico`)}), 0)
        FROM metering.inference_calls c WHERE ${callsOf(workspaceId, counts, day)} AND c.dispatched_at < b.until)::text AS pico
    FROM (SELECT least(clock_timestamp() - interval '5 minutes',
            (SELECT min(a.dispatched_at) FROM metering.attempts a WHERE a.workspace_id = ${workspaceId}::uuid)) AS until) b`

/**
 * Goes through the calls of the present window while calls go on: a busy workspace has millions of them, and whoever settles one
 * of its calls meanwhile settles calls of other workspaces with it. Only those are counted that nothing can be added to: older
 * than every attempt that is open, and than any that is about to be.
 */
export async function countBefore(tx: Tx, workspaceId: string, counts: Counts): Promise<CountedBefore> {
  const day = await windowNow(tx, workspaceId, counts)
  const [row] = await tx.$queryRaw<{ until: string; pico: string }[]>(beforeQuery(workspaceId, counts, day))
  return { day, until: row?.until ?? '-infinity', pico: row?.pico ?? '0' }
}

/**
 * Corrections `x` of calls `c` in the window. A correction is in the billing month of its call or in a later one: that narrows the index.
 * When the first of the calls was dispatched is said of the calls too, or all partitions that there ever were would be gone through.
 */
const correctionsOf = (workspaceId: string, { period }: Counts, day: string) =>
  period === 'billing_month'
    ? Prisma.sql`x.billing_month = ${day}::date AND c.dispatched_at >= (SELECT min(y.dispatched_at) FROM metering.call_adjustments y
        WHERE y.workspace_id = ${workspaceId}::uuid AND y.reason = 'cost_corrected' AND y.billing_month = ${day}::date)`
    : Prisma.sql`x.billing_month >= date_trunc('month', ${day}::date)::date AND x.dispatched_at >= ${day}::timestamp AT TIME ZONE 'UTC'
        AND c.dispatched_at >= ${day}::timestamp AT TIME ZONE 'UTC'`

/** Usage events `u` in the window. */
const eventsOf = ({ period }: Counts, day: string) =>
  period === 'billing_month'
    ? Prisma.sql`u.billing_month = ${day}::date`
    : Prisma.sql`u.occurred_at >= ${day}::timestamp AT TIME ZONE 'UTC' AND metering.budget_window(${period}, u.workspace_id, u.occurred_at) = ${day}::date`

/** Sets what a window has come to: what was counted before, and what has come since. */
export function windowQuery(workspaceId: string, budgetId: string, counts: Counts, before: CountedBefore): Prisma.Sql {
  const { day, until, pico } = before
  const calls = callsOf(workspaceId, counts, day)
  const made = ofScope(workspaceId, counts, { token: Prisma.sql`u.token_id`, key: Prisma.sql`NULL` })
  return Prisma.sql`
    INSERT INTO metering.budget_spend (workspace_id, budget_id, window_start, spent_pico)
    SELECT ${workspaceId}::uuid, ${budgetId}::uuid, ${day}::date, ${pico}::numeric
      + (SELECT coalesce(sum(coalesce(c.charge_pico, 0) + c.credit_pico + ${ownCost(counts, Prisma.sql`c.raw_cost_pico`)}), 0)
           FROM metering.inference_calls c WHERE ${calls} AND c.dispatched_at >= ${until}::timestamptz)
      + (SELECT coalesce(sum(k.charge_pico + ${ownCost(counts, Prisma.sql`k.raw_cost_pico`)}), 0)
           FROM metering.call_corrections k JOIN metering.inference_calls c
             ON c.workspace_id = k.workspace_id AND c.dispatched_at = k.dispatched_at AND c.id = k.call_id
          WHERE k.workspace_id = ${workspaceId}::uuid AND ${calls})
      + (SELECT coalesce(sum(x.charge_after_pico - x.charge_before_pico + ${ownCost(counts, Prisma.sql`x.cost_change_pico`)}), 0)
           FROM metering.call_adjustments x JOIN metering.inference_calls c
             ON c.workspace_id = x.workspace_id AND c.dispatched_at = x.dispatched_at AND c.id = x.call_id
          WHERE x.workspace_id = ${workspaceId}::uuid AND x.reason = 'cost_corrected' AND c.origin <> 'import'
            AND ${ofScope(workspaceId, counts, { token: Prisma.sql`c.token_id`, key: Prisma.sql`c.key_id` })}
            AND ${correctionsOf(workspaceId, counts, day)})
      + (SELECT coalesce(sum(u.charge_pico + u.credit_pico), 0) FROM metering.usage_events u
          WHERE u.workspace_id = ${workspaceId}::uuid AND ${made} AND ${eventsOf(counts, day)})
    ON CONFLICT (workspace_id, budget_id, window_start) DO UPDATE SET spent_pico = excluded.spent_pico`
}

/**
 * Sets what the budget's present window has come to, from the ledger: calls of this gateway by their dispatch, and usage events.
 * The caller holds the workspace's ledger lock (`lockSpending`), so nothing is settled meanwhile; what `countBefore` went through
 * is not gone through again, and costs that became known or were corrected since are entries of their own.
 */
export async function beginWindow(
  tx: Tx,
  workspaceId: string,
  budgetId: string,
  counts: Counts,
  before: CountedBefore | null,
): Promise<void> {
  const day = await windowNow(tx, workspaceId, counts)
  const counted = before?.day === day ? before : { day, until: '-infinity', pico: '0' }
  await tx.$executeRaw(windowQuery(workspaceId, budgetId, counts, counted))
}

/** No call or usage of the workspace is settled until the transaction ends. Taken before every other lock, and held shortly. */
export async function lockSpending(tx: Tx, workspaceId: string): Promise<void> {
  await tx.$queryRaw`SELECT metering.lock_ledger_exclusive(${workspaceId}::uuid)::text`
}
