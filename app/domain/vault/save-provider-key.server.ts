import { createHmac } from 'node:crypto'
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { planAllowsProvider } from '#app/domain/plans/plans.ts'
import { toPlanRules } from '#app/domain/plans/queries.server.ts'
import { credentialOf } from '#app/domain/providers/credential.ts'
import { checkKeyFormat, maskKey } from '#app/domain/providers/key-format.ts'
import { type KeyProbe, probeKey } from '#app/domain/providers/probe-key.server.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { newId } from '#app/platform/ids.ts'
import { processSecret } from '#app/platform/process-secrets.server.ts'
import { planWithoutKeys, subscriptionPaused } from './errors.ts'
import { ensureDataKey } from './internal/data-key.server.ts'
import { credentialFields } from './internal/envelope.ts'
import { ALGORITHM, seal, wipe } from './internal/sodium.server.ts'
import { forgetOpenKeys } from './open-provider-key.server.ts'

export interface SavedKey {
  outcome: 'saved' | 'replaced' | 'unchanged'
  verification: 'valid' | 'unverified'
  /** Why the provider could not be asked, where `unverified`. */
  reason: KeyProbe['reason']
  hint: string
  limitRemainingUsd: string | null
}

export const fingerprintOf = (provider: string, key: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(createHmac('sha256', processSecret('fingerprint_mac')).update(`${provider}\n${key}`).digest())

/** The plan is read under the workspace's row lock: it cannot be left between this check and the save (stripe case 53). */
async function lockEntitledWorkspace(tx: Tx, workspaceId: string, provider: ProviderId): Promise<void> {
  await tx.$queryRaw`SELECT id::text FROM workspaces WHERE id = ${workspaceId}::uuid FOR UPDATE`
  const workspace = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, include: { plan: true } })
  if (!planAllowsProvider(toPlanRules(workspace.plan), provider)) throw planWithoutKeys()
  // A pause disables keys; a key saved under it would run until the next look at the subscription (stripe §2.7).
  if (workspace.subscriptionStatus === 'paused') throw subscriptionPaused()
}

function refuseBadKeys(provider: ProviderId, probe: KeyProbe): void {
  const { name } = providerOf(provider)
  if (probe.outcome === 'invalid') {
    throw new AppError(
      'bad_request',
      'key_rejected',
      `${name} does not accept this key. It was not saved. Check that it is complete and not revoked, or make a new one at ${name}.`,
      { field: 'key' },
    )
  }
  if (probe.outcome === 'management') {
    throw new AppError(
      'bad_request',
      'management_key',
      `This is an ${name} management key: it manages keys but cannot run models. It was not saved. Make an ordinary API key and paste that one.`,
      { field: 'key' },
    )
  }
}

interface Sealing {
  ctx: Ctx
  provider: ProviderId
  key: string
  verification: 'valid' | 'unverified'
}

/** Writes the sealed row in a new version, its audit entry and the raised epoch (which notifies) in the caller's transaction. */
export async function storeSealedKey(
  tx: Tx,
  { ctx, provider, key, verification }: Sealing,
): Promise<SavedKey['outcome']> {
  const { workspaceId } = ctx
  const at = ctx.now()
  const fingerprint = fingerprintOf(provider, key)
  const before = await tx.providerKey.findFirst({ where: { workspaceId, provider }, orderBy: { position: 'asc' } })
  if (
    before?.enabled &&
    Buffer.from(before.fingerprint).equals(Buffer.from(fingerprint)) &&
    before.verification === verification
  )
    return 'unchanged'
  const dataKey = await ensureDataKey(tx, workspaceId)
  const keyId = before?.id ?? newId()
  const version = (before?.version ?? 0) + 1
  const plain = Buffer.from(key, 'utf8')
  const box = seal(
    plain,
    dataKey.bytes,
    credentialFields({ workspaceId, provider, keyId, version, dataKeyId: dataKey.id }, ALGORITHM),
  )
  wipe(plain)
  wipe(dataKey.bytes)
  const row = {
    version,
    enabled: true,
    verification,
    verifiedAt: verification === 'valid' ? at : null,
    hint: maskKey(provider, key),
    fingerprint,
    algorithm: ALGORITHM,
    dataKeyId: dataKey.id,
    nonce: new Uint8Array(box.nonce),
    ciphertext: new Uint8Array(box.sealed),
    lastErrorCode: null,
    lastErrorAt: null,
    savedBy: ctx.actor.id,
    updatedAt: at,
  }
  await tx.providerKey.upsert({
    where: { workspaceId_id: { workspaceId, id: keyId } },
    create: { workspaceId, id: keyId, provider, createdAt: at, ...row },
    update: row,
  })
  await recordAudit(tx, {
    workspaceId,
    actor: ctx.actor,
    action: before ? 'provider_key.replaced' : 'provider_key.saved',
    subjectType: 'provider_key',
    subjectId: keyId,
    detail: { provider, version, hint: row.hint, verification },
    at,
  })
  await tx.workspace.update({ where: { id: workspaceId }, data: { keyEpoch: { increment: 1 } } })
  if (verification === 'unverified') {
    const runAt = new Date(at.getTime() + 60_000)
    await enqueueJob(tx, 'reprobe-provider-key', { workspaceId, keyId }, { jobKey: `reprobe:${keyId}`, runAt })
  }
  return before ? 'replaced' : 'saved'
}

/**
 * Saves or replaces the workspace's key of a provider: format, live probe, seal, one transaction. The old key keeps working
 * until the new one is stored. Nothing of the key is in any error or in the answer but its hint.
 * @throws AppError bad_request (field `key`), forbidden `plan_required`, conflict `subscription_paused`
 */
export async function saveProviderKey(ctx: Ctx, input: { provider: ProviderId; key: string }): Promise<SavedKey> {
  authorize(ctx, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const { provider } = input
  const scope = { workspaceId: ctx.workspaceId }
  await inTenant(scope, (tx) => lockEntitledWorkspace(tx, ctx.workspaceId, provider))
  const format = checkKeyFormat(provider, input.key)
  if (!format.ok) throw new AppError('bad_request', format.code, format.message, { field: 'key' })
  const probe = await probeKey(credentialOf(provider, { apiKey: format.key }))
  refuseBadKeys(provider, probe)
  const verification = probe.outcome === 'valid' ? 'valid' : 'unverified'
  const outcome = await inTenant(scope, async (tx) => {
    await lockEntitledWorkspace(tx, ctx.workspaceId, provider)
    return storeSealedKey(tx, { ctx, provider, key: format.key, verification })
  })
  forgetOpenKeys(ctx.workspaceId)
  return {
    outcome,
    verification,
    reason: probe.reason,
    hint: maskKey(provider, format.key),
    limitRemainingUsd: probe.limitRemainingUsd ?? null,
  }
}
