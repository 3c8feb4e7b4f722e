import { systemPool } from '#app/platform/db.server.ts'
import type { Pico } from '#app/platform/pico.ts'

interface Question {
  workspaceId: string
  tokenId: string | null
  /** The workspace's key that would pay; null: the platform's. */
  keyId: string | null
  /** Whether such a call is charged for here at all: on the invoice or from credits. */
  charges: boolean
}

export interface BudgetRoom {
  /** Neither spent nor reserved; below 0 where calls came to more than was thought. */
  leftPico: Pico
  /** Whether what the provider bills the workspace's own key counts too. */
  countsCost: boolean
}

/** What is left of each hard budget that counts a call of this token now. For the gateway. */
export async function budgetRooms({ workspaceId, tokenId, keyId, charges }: Question): Promise<BudgetRoom[]> {
  const { rows } = await systemPool().query<{ left: string; counts_cost: boolean }>({
    name: 'budget-rooms',
    text: `SELECT trunc(b.limit_amount * 1000000000000 - coalesce(s.spent_pico, 0)
          - coalesce((SELECT sum(r.amount_pico) FROM metering.budget_reservations r WHERE r.workspace_id = b.workspace_id
            AND r.budget_id = b.id AND r.window_start = w.day), 0))::text AS left,
        b.counts_own_key AND $3::uuid IS NOT NULL AS counts_cost
      FROM budgets b
      CROSS JOIN LATERAL (SELECT metering.budget_window(b.period, b.workspace_id, clock_timestamp()) AS day) w
      LEFT JOIN metering.budget_spend s ON s.workspace_id = b.workspace_id AND s.budget_id = b.id AND s.window_start = w.day
      WHERE b.workspace_id = $1 AND b.enabled AND b.hard AND ($4 OR ($3::uuid IS NOT NULL AND b.counts_own_key))
        AND CASE b.scope WHEN 'workspace' THEN true WHEN 'token' THEN b.scope_id = $2::uuid::text WHEN 'key' THEN b.scope_id = $3::uuid::text
          ELSE b.scope_id = (SELECT t.created_by FROM gateway_tokens t WHERE t.workspace_id = $1 AND t.id = $2) END`,
    values: [workspaceId, tokenId, keyId, charges],
  })
  return rows.map(({ left, counts_cost }) => ({ leftPico: BigInt(left), countsCost: counts_cost }))
}
