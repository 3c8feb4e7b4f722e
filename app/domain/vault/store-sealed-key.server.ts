import { createHmac } from 'node:crypto'
import { changedDetail } from '#app/domain/audit/audit.ts'
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import type { KeyBalance } from '#app/domain/providers/balance.server.ts'
import { maskCredential } from '#app/domain/providers/check-credential.ts'
import { parseCredential } from '#app/domain/providers/parse-credential.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import type { Tx } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { newId } from '#app/platform/ids.ts'
import { processSecret } from '#app/platform/process-secrets.server.ts'
import { raiseKeyEpoch } from './entitled-workspace.server.ts'
import { ensureDataKey } from './internal/data-key.server.ts'
import { credentialFields } from './internal/envelope.ts'
import { ALGORITHM, seal, wipe } from './internal/sodium.server.ts'
import { forgetKeyNotices, noteBalance } from './note-balance.server.ts'

export interface Sealing {
  ctx: Ctx
  provider: ProviderId
  /** The plain key, or the JSON of a credential with fields: what `parseCredential` reads. */
  sealedText: string
  verification: 'valid' | 'restricted' | 'unverified'
  /** Replaces this key; without it the key is another one of the provider's. */
  keyId?: string | undefined
  name?: string | undefined
  balance?: KeyBalance | undefined
  /** It came from the provider itself, by OAuth: nobody pasted it. */
  byOauth?: boolean | undefined
}

export interface StoredKey {
  outcome: 'saved' | 'replaced' | 'unchanged'
  keyId: string
}

/** Keys of one provider that a workspace may hold. */
const mostKeys = 20

export const fingerprintOf = (provider: string, sealedText: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(createHmac('sha256', processSecret('fingerprint_mac')).update(`${provider}\n${sealedText}`).digest())

const findKeys = (tx: Tx, workspaceId: string, provider: string) =>
  tx.providerKey.findMany({
    where: { workspaceId, provider },
    orderBy: { position: 'asc' },
    select: {
      id: true,
      version: true,
      enabled: true,
      fingerprint: true,
      verification: true,
      position: true,
      name: true,
      hint: true,
    },
  })

type Existing = Awaited<ReturnType<typeof findKeys>>[number]

/** The key that is written over, and whether it is the same one again. */
function chooseTarget(keys: Existing[], sealing: Sealing, fingerprint: Uint8Array) {
  const same = keys.find((key) => Buffer.from(key.fingerprint).equals(Buffer.from(fingerprint)))
  const { keyId } = sealing
  if (keyId !== undefined && !keys.some((key) => key.id === keyId)) throw notFound('Provider key')
  if (keyId !== undefined && same && same.id !== keyId)
    throw new AppError('conflict', 'key_already_saved', 'This key is saved already, as another key of this provider.')
  const target = keyId === undefined ? same : keys.find((key) => key.id === keyId)
  if (!target && keys.length >= mostKeys)
    throw new AppError('conflict', 'too_many_keys', `A workspace holds at most ${mostKeys} keys of a provider.`)
  const named = sealing.name === undefined || sealing.name === target?.name
  const unchanged = target && target === same && target.enabled && named && target.verification === sealing.verification
  return { target: target ?? null, isAnother: target !== same, unchanged: unchanged === true }
}

async function sealKey(tx: Tx, { ctx, provider, sealedText }: Sealing, keyId: string, version: number) {
  const { workspaceId } = ctx
  const dataKey = await ensureDataKey(tx, workspaceId)
  const identity = { workspaceId, provider, keyId, version, dataKeyId: dataKey.id }
  const plain = Buffer.from(sealedText, 'utf8')
  const box = seal(plain, dataKey.bytes, credentialFields(identity, ALGORITHM))
  wipe(plain)
  wipe(dataKey.bytes)
  return {
    algorithm: ALGORITHM,
    dataKeyId: dataKey.id,
    nonce: new Uint8Array(box.nonce),
    ciphertext: new Uint8Array(box.sealed),
  }
}

async function enqueueQuestions(tx: Tx, { ctx, verification }: Sealing, keyId: string): Promise<void> {
  const { workspaceId } = ctx
  const payload = { workspaceId, keyId }
  if (verification === 'unverified') {
    const runAt = new Date(ctx.now().getTime() + 60_000)
    await enqueueJob(tx, 'reprobe-provider-key', payload, { jobKey: `reprobe:${keyId}`, runAt })
  }
  await enqueueJob(tx, 'refresh-key-models', payload, { jobKey: `models:${keyId}`, maxAttempts: 5 })
}

/**
 * Writes the sealed row in a new version, its audit entry and the raised epoch (which notifies) in the caller's transaction.
 * The same key again changes nothing. The caller holds the workspace's row lock.
 * @throws AppError not_found, conflict `key_already_saved`, `too_many_keys`
 */
export async function storeSealedKey(tx: Tx, sealing: Sealing): Promise<StoredKey> {
  const { ctx, provider, sealedText, verification, balance } = sealing
  const { workspaceId } = ctx
  const at = ctx.now()
  const fingerprint = fingerprintOf(provider, sealedText)
  const keys = await findKeys(tx, workspaceId, provider)
  const { target, isAnother, unchanged } = chooseTarget(keys, sealing, fingerprint)
  if (target && unchanged) return { outcome: 'unchanged', keyId: target.id }
  const keyId = target?.id ?? newId()
  const version = (target?.version ?? 0) + 1
  const row = {
    ...(await sealKey(tx, sealing, keyId, version)),
    version,
    enabled: true,
    switchedOff: false,
    verification,
    verifiedAt: verification === 'unverified' ? null : at,
    hint: maskCredential(parseCredential(provider, sealedText)),
    fingerprint,
    lastErrorCode: null,
    lastErrorText: null,
    lastErrorAt: null,
    balanceKind: null,
    balanceUsd: null,
    balanceAt: null,
    balanceLow: false,
    // When another secret was used says nothing of this one.
    ...(isAnother ? { lastUsedAt: null, lastSuccessAt: null } : {}),
    savedBy: ctx.actor.id,
    updatedAt: at,
    ...(sealing.name === undefined ? {} : { name: sealing.name }),
  }
  const position = 1 + Math.max(-1, ...keys.map((key) => key.position))
  await tx.providerKey.upsert({
    where: { workspaceId_id: { workspaceId, id: keyId } },
    create: { workspaceId, id: keyId, provider, position, createdAt: at, ...row },
    update: row,
  })
  await tx.providerKeyModels.deleteMany({ where: { workspaceId, keyId } })
  if (target) await forgetKeyNotices(tx, workspaceId, keyId, at)
  if (balance) await noteBalance(tx, { workspaceId, keyId, keyVersion: version, balance, at })
  await recordAudit(tx, {
    workspaceId,
    actor: ctx.actor,
    action: sealing.byOauth ? 'provider_key.connected' : target ? 'provider_key.replaced' : 'provider_key.saved',
    subjectType: 'provider_key',
    subjectId: keyId,
    detail: changedDetail(target ? { hint: target.hint } : {}, { provider, version, hint: row.hint, verification }),
    at,
  })
  await raiseKeyEpoch(tx, workspaceId)
  await enqueueQuestions(tx, sealing, keyId)
  return { outcome: target ? 'replaced' : 'saved', keyId }
}
