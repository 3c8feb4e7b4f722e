import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { raiseNotice } from '#app/domain/notifications/notices.server.ts'
import type { Actor } from '#app/domain/permissions/permissions.ts'
import { isProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import type { Tx } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { replaceDataKey } from './internal/reseal-keys.server.ts'
import { forgetKeyNotices } from './note-balance.server.ts'

export interface PurgeInput {
  workspaceId: string
  /** `plan_changed`, `subscription_ended`, `customer_deleted`, … */
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
 * raised, which notifies every process; owners and billing admins are told of all of them by one notice. The caller holds the
 * workspace's row lock.
 * @returns how many keys were destroyed
 */
export async function purgeWorkspaceKeys(tx: Tx, input: PurgeInput): Promise<number> {
  const { workspaceId, at } = input
  const held = await tx.providerKey.findMany({ where: { workspaceId } })
  const kept = held.filter((key) => input.keeps?.(key.provider))
  const keys = held.filter((key) => !kept.includes(key))
  const workspace = await tx.workspace.update({ where: { id: workspaceId }, data: { keyEpoch: { increment: 1 } } })
  const destroyed: Destroyed[] = []
  for (const key of keys) {
    const id = newId()
    destroyed.push({ certificate: id, provider: key.provider, hint: key.hint })
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
  await tellOfPurge(tx, input, destroyed)
  return keys.length
}

interface Destroyed {
  certificate: string
  provider: string
  hint: string
}

/** Most keys that one notice names. */
const mostNamed = 10

const reasons: Record<string, string> = {
  subscription_ended: 'the subscription ended',
  customer_deleted: 'the billing customer was deleted',
  paused_too_long: 'the subscription was paused for 30 days',
}

const nameOf = ({ provider, hint }: Destroyed): string =>
  `${isProviderId(provider) ? providerOf(provider).name : provider} key ${hint || 'without a hint'}`

/** One notice for all keys of a purge, by their hints: they are gone here, and still good at their providers. */
async function tellOfPurge(tx: Tx, { workspaceId, cause, at }: PurgeInput, destroyed: Destroyed[]): Promise<void> {
  const [first, ...more] = destroyed
  // A workspace that is ended loses its people in the same breath: nobody is left to be told.
  if (!first || cause === 'workspace_ended') return
  const rest = destroyed.length - mostNamed
  const names = destroyed.slice(0, mostNamed).map(nameOf)
  const many = more.length > 0
  const because = reasons[cause] ?? `the plan of the workspace no longer allows ${many ? 'them' : 'it'}`
  await raiseNotice(tx, {
    workspaceId,
    kind: 'keys_destroyed',
    reference: first.certificate,
    title: many ? 'Provider keys were destroyed' : 'A provider key was destroyed',
    message: `Destroyed here, because ${because}: ${names.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}. ${many ? 'They' : 'It'} cannot be brought back; ${many ? 'each has a certificate that' : 'a certificate'} says when and why. Revoke ${many ? 'them at their providers' : 'it at its provider'} too, if nothing else uses ${many ? 'them' : 'it'}.`,
    path: many ? 'settings/billing' : `settings/billing/certificates/${first.certificate}`,
    at,
  })
}
