import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import type { Actor } from '#app/domain/permissions/permissions.ts'
import type { Tx } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { type Pico, picoToUsd } from '#app/platform/pico.ts'
import type { GrantKind } from './credits.ts'
import { noteLowCredits } from './note-low-credits.server.ts'

export interface CreditGrant {
  workspaceId: string
  /** `monthly`: the plan's, ends with its month · `purchased`: paid for · `promotional`: given by an operator. */
  kind: GrantKind
  amountPico: Pico
  /** What it is granted for; a second grant for the same changes nothing: `stripe:<session>`, `2026-11:<plan>`. */
  reference: string
  /** null: never. */
  expiresAt: Date | null
  actor: Actor
  /** For the workspace to read: why it was given. */
  note?: string
  at: Date
}

/**
 * Grants credits in the caller's transaction, once per workspace and reference, with its audit row.
 * @returns whether it was granted now
 */
export async function grantCredits(tx: Tx, grant: CreditGrant): Promise<boolean> {
  const { workspaceId, kind, amountPico, reference, expiresAt, actor, note = '', at } = grant
  const id = newId(at)
  // Before the audit trail's lock, as everybody takes the two: otherwise a change of the workspace would wait for us, and we for it.
  await tx.$executeRaw`SELECT 1 FROM workspaces WHERE id = ${workspaceId}::uuid FOR NO KEY UPDATE`
  const [row] = await tx.$queryRaw<{ granted: boolean }[]>`
    SELECT metering.grant_credits(${workspaceId}::uuid, ${id}::uuid, ${kind}, ${reference}, ${amountPico.toString()}::bigint, ${at}, ${expiresAt}) AS granted`
  if (!row?.granted) return false
  const grantedBy = [actor.kind, actor.id].filter(Boolean).join(' ')
  await tx.$executeRaw`
    UPDATE metering.credit_grants SET note = ${note}, granted_by = ${grantedBy} WHERE workspace_id = ${workspaceId}::uuid AND id = ${id}::uuid`
  await recordAudit(tx, {
    workspaceId,
    actor,
    action: 'credits.granted',
    subjectType: 'credit_grant',
    subjectId: id,
    detail: { kind, usd: picoToUsd(amountPico), reference, ...(note ? { note } : {}) },
    at,
  })
  await noteLowCredits(tx, workspaceId, at)
  return true
}
