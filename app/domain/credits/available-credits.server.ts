import { systemPool } from '#app/platform/db.server.ts'
import type { Pico } from '#app/platform/pico.ts'

/** What a workspace can draw on now, by the database's clock; what calls under way hold is not in it. For the gateway. */
export async function availableCredits(workspaceId: string): Promise<Pico> {
  const { rows } = await systemPool().query<{ pico: string }>({
    name: 'available-credits',
    text: `SELECT coalesce(sum(available_pico), 0)::text AS pico FROM metering.credit_grants
      WHERE workspace_id = $1 AND available_pico > 0 AND (expires_at IS NULL OR expires_at > clock_timestamp())`,
    values: [workspaceId],
  })
  return BigInt(rows[0]?.pico ?? '0')
}
