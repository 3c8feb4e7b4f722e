import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import type { Actor } from '#app/domain/permissions/permissions.ts'
import type { Tx } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { replaceDataKey } from './internal/reseal-keys.server.ts'
import { forgetKeyNotices } from './note-balance.server.ts'

export interface PurgeInput {
  workspaceId: string
  /** `left_enterprise`, `subscription_ended`, `customer_deleted`, … */
  cause: string
  /** The Stripe event or object that caused it. */
  causeReference: string | null
  fromPlanId: string | null
  toPlanId: string | null
  actor: Actor
  at: Date
  /** Providers whose keys stay: they are sealed anew under a fresh data key. Without it none do. */
  keeps?: (provider: string) => boolean
}

/**
 * Destroys the provider keys of a workspace, all or those of providers that its plan no longer allows, in the caller's transaction, together with the plan change that demands it:
 * ciphertexts and the workspace's data key are deleted, a tombstone and an audit row are written for each, the epoch is
 * raised, which notifies every process. The caller holds the workspace's row lock.
 * @returns how many keys were destroyed
 */
export async function purgeWorkspaceKeys(tx: Tx, input: PurgeInput): Promise<number> {
  const { workspaceId, at } = input
  const held = await tx.providerKey.findMany({ where: { workspaceId } })
  const kept = held.filter((key) => input.keeps?.(key.provider))
  const keys = held.filter((key) => !kept.includes(key))
  const workspace = await tx.workspace.update({ where: { id: workspaceId }, data: { keyEpoch: { increment: 1 } } })
  for (const key of keys) {
    const id = newId()
    await tx.keyPurge.create({
      data: {
        workspaceId,
        id,
        provider: key.provider,
        keyId: key.id,
        keyVersion: key.version,
        hint: key.hint,
        fingerprint: key.fingerprint,
        dataKeyId: key.dataKeyId,
        cause: input.cause,
        causeReference: input.causeReference,
        fromPlanId: input.fromPlanId,
        toPlanId: input.toPlanId,
        keyEpoch: workspace.keyEpoch,
        purgedAt: at,
      },
    })
    await forgetKeyNotices(tx, workspaceId, key.id, at)
    await recordAudit(tx, {
      workspaceId,
      actor: input.actor,
      action: 'provider_key.purged',
      subjectType: 'provider_key',
      subjectId: key.id,
      detail: { provider: key.provider, version: key.version, hint: key.hint, cause: input.cause, certificate: id },
      at,
    })
  }
  await tx.providerKey.deleteMany({ where: { workspaceId, id: { in: keys.map((key) => key.id) } } })
  await replaceDataKey(tx, workspaceId, kept)
  return keys.length
}
