import type { Tx } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'

export interface AlertInput {
  /** Stable snake_case kind, such as `invoice_run_held`. */
  kind: string
  /** What it is about: an id or a name. One open alert per kind and reference. */
  reference: string
  workspaceId?: string | null
  /** For operators: what happened and what to do. Never a secret. */
  message: string
  at: Date
}

/** Raises an alert, or says again that it still stands. Needs a system transaction. */
export async function raiseAlert(
  tx: Tx,
  { kind, reference, workspaceId = null, message, at }: AlertInput,
): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO alerts (id, kind, reference, workspace_id, message, raised_at, last_seen_at)
    VALUES (${newId()}::uuid, ${kind}, ${reference}, ${workspaceId}::uuid, ${message}, ${at}, ${at})
    ON CONFLICT (kind, reference) DO UPDATE SET message = excluded.message, last_seen_at = excluded.last_seen_at,
      raised_at = CASE WHEN alerts.resolved_at IS NULL THEN alerts.raised_at ELSE excluded.raised_at END,
      occurrences = CASE WHEN alerts.resolved_at IS NULL THEN alerts.occurrences + 1 ELSE 1 END, resolved_at = NULL`
}

export async function resolveAlert(tx: Tx, kind: string, reference: string, at: Date): Promise<void> {
  await tx.alert.updateMany({ where: { kind, reference, resolvedAt: null }, data: { resolvedAt: at } })
}
