import type { Tx } from '#app/platform/db.server.ts'

/**
 * Counts anew what the budget's present window has come to, from the ledger: calls of this gateway by their dispatch, and usage
 * events. The caller holds the workspace's ledger lock (`lockSpending`), so nothing is settled meanwhile.
 */
export async function beginWindow(tx: Tx, workspaceId: string, budgetId: string): Promise<void> {
  await tx.$executeRaw`
    WITH b AS (
      SELECT b.*, metering.budget_window(b.period, b.workspace_id, clock_timestamp()) AS day
        FROM budgets b WHERE b.workspace_id = ${workspaceId}::uuid AND b.id = ${budgetId}::uuid
    ), made AS (
      SELECT t.id FROM gateway_tokens t JOIN b ON t.workspace_id = b.workspace_id
       WHERE (b.scope = 'token' AND t.id::text = b.scope_id) OR (b.scope = 'member' AND t.created_by = b.scope_id)
    ), calls AS (
      SELECT coalesce(sum(coalesce(c.charge_pico, 0) + c.credit_pico
          + CASE WHEN c.key_source = 'workspace' AND b.counts_own_key THEN coalesce(c.raw_cost_pico, 0) ELSE 0 END), 0) AS pico
        FROM metering.calls_now c JOIN b ON c.workspace_id = b.workspace_id
       WHERE c.origin <> 'import'
         AND CASE b.period WHEN 'billing_month' THEN c.billing_month = b.day
             ELSE c.dispatched_at >= (b.day::timestamp AT TIME ZONE 'UTC') END
         AND CASE b.scope WHEN 'workspace' THEN true WHEN 'key' THEN c.key_id::text = b.scope_id
             ELSE c.token_id IN (SELECT id FROM made) END
    ), events AS (
      SELECT coalesce(sum(u.charge_pico + u.credit_pico), 0) AS pico
        FROM metering.usage_events u JOIN b ON u.workspace_id = b.workspace_id
       WHERE CASE b.period WHEN 'billing_month' THEN u.billing_month = b.day
             ELSE metering.budget_window(b.period, b.workspace_id, u.occurred_at) = b.day END
         AND CASE b.scope WHEN 'workspace' THEN true WHEN 'key' THEN false ELSE u.token_id IN (SELECT id FROM made) END
    )
    INSERT INTO metering.budget_spend (workspace_id, budget_id, window_start, spent_pico)
    SELECT b.workspace_id, b.id, b.day, calls.pico + events.pico FROM b, calls, events
    ON CONFLICT (workspace_id, budget_id, window_start) DO UPDATE SET spent_pico = excluded.spent_pico`
}

/** No call or usage of the workspace is settled until the transaction ends. Taken before every other lock. */
export async function lockSpending(tx: Tx, workspaceId: string): Promise<void> {
  await tx.$queryRaw`SELECT metering.lock_ledger_exclusive(${workspaceId}::uuid)::text`
}
