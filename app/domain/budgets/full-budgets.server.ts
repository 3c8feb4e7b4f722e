import { systemPool } from '#app/platform/db.server.ts'

interface Question {
  workspaceId: string
  tokenId: string
  /** The workspace's key that would pay; null: the platform's. */
  keyId: string | null
  /** Whether such a call is charged for here at all: on the invoice or from credits. */
  charges: boolean
}

/** Names of hard budgets that have no room left for a call of this token. For the gateway. */
export async function fullBudgets({ workspaceId, tokenId, keyId, charges }: Question): Promise<string[]> {
  const { rows } = await systemPool().query<{ name: string }>({
    name: 'full-budgets',
    text: `SELECT b.name FROM budgets b
      CROSS JOIN LATERAL (SELECT metering.budget_window(b.period, b.workspace_id, clock_timestamp()) AS day) w
      WHERE b.workspace_id = $1 AND b.enabled AND b.hard AND ($4 OR ($3::uuid IS NOT NULL AND b.counts_own_key))
        AND CASE b.scope WHEN 'workspace' THEN true WHEN 'token' THEN b.scope_id = $2::uuid::text WHEN 'key' THEN b.scope_id = $3::uuid::text
          ELSE b.scope_id = (SELECT t.created_by FROM gateway_tokens t WHERE t.workspace_id = $1 AND t.id = $2) END
        AND b.limit_amount * 1000000000000 <= coalesce((SELECT s.spent_pico FROM metering.budget_spend s WHERE s.workspace_id = b.workspace_id
            AND s.budget_id = b.id AND s.window_start = w.day), 0)
          + coalesce((SELECT sum(r.amount_pico) FROM metering.budget_reservations r WHERE r.workspace_id = b.workspace_id
            AND r.budget_id = b.id AND r.window_start = w.day), 0)
      ORDER BY b.name`,
    values: [workspaceId, tokenId, keyId, charges],
  })
  return rows.map(({ name }) => name)
}
