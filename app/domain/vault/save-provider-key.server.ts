import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { checkCredential, maskCredential } from '#app/domain/providers/check-credential.ts'
import { type KeyProbe, probeKey } from '#app/domain/providers/probe-key.server.ts'
import { type ProbeReason, reasonText } from '#app/domain/providers/probe-reasons.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'
import { lockEntitledWorkspace } from './entitled-workspace.server.ts'
import { checkKeyName } from './key-name.ts'
import { countKeyCheck } from './limit-key-checks.server.ts'
import { forgetOpenKeys, openProviderKey } from './open-provider-key.server.ts'
import { type StoredKey, storeSealedKey } from './store-sealed-key.server.ts'

export interface SaveKeyInput {
  provider: ProviderId
  /** A key, pasted JSON, or the fields of a form. */
  credential: string | Record<string, unknown>
  /** Replaces this key; without it the key is added to the provider's. */
  keyId?: string | undefined
  name?: string | undefined
  /** The provider itself handed the key over, by OAuth. */
  byOauth?: boolean | undefined
}

export interface SavedKey extends StoredKey {
  verification: 'valid' | 'restricted' | 'unverified'
  reason: ProbeReason
  /** What the provider said of the key, in words for people. */
  reasonText: string
  hint: string
  /** What the key's own limit leaves, exact decimal text in USD; null: no limit, or not told. */
  limitRemainingUsd: string | null
  /** Of something in the credential that will likely not work. */
  warning: string | null
}

const fieldOf = (input: SaveKeyInput, probe: KeyProbe): string =>
  probe.field ??
  (typeof input.credential === 'string' && providerOf(input.provider).credential.startsWith('key')
    ? 'key'
    : 'credential')

/** @throws AppError bad_request `key_rejected`, `management_key`: nothing is saved */
function refuseBadKeys(input: SaveKeyInput, probe: KeyProbe): void {
  if (probe.outcome !== 'invalid' && probe.outcome !== 'management') return
  const [says, ...advice] = reasonText(input.provider, probe.reason).split('. ')
  const text = `${says?.replace(/\.$/, '')}. The key was not saved. ${advice.join('. ')}`.trim()
  const code = probe.outcome === 'management' ? 'management_key' : 'key_rejected'
  throw new AppError('bad_request', code, text, { field: fieldOf(input, probe) })
}

/**
 * OpenRouter's second key may be added without pasting the first again: the saved one is kept, and never shown for it.
 * @throws AppError not_found, unavailable `key_unavailable`
 */
async function withSavedKey(ctx: Ctx, input: SaveKeyInput): Promise<SaveKeyInput> {
  const { credential, keyId, provider } = input
  const { workspaceId } = ctx
  const onlyManagement =
    typeof credential !== 'string' && credential.apiKey === '' && typeof credential.managementKey === 'string'
  if (!onlyManagement || !keyId || providerOf(provider).credential !== 'key_and_management') return input
  const row = await inTenant({ workspaceId }, (tx) =>
    tx.providerKey.findFirst({ where: { workspaceId, id: keyId, provider }, select: { version: true } }),
  )
  if (!row) throw notFound('Provider key')
  const saved = await openProviderKey({ workspaceId, keyId, keyVersion: row.version })
  return { ...input, credential: { ...credential, apiKey: saved.apiKey } }
}

/**
 * Saves or replaces a key: format, live probe, seal, one transaction. The old key keeps working until the new one is stored.
 * Nothing of the key is in any error or in the answer but its hint.
 * @throws AppError bad_request (field `key` or `credential.<name>`), forbidden `plan_required`, conflict
 *   `subscription_paused`, `key_already_saved`, `too_many_keys`, not_found, rate_limited `too_many_key_checks`
 */
export async function saveProviderKey(ctx: Ctx, given: SaveKeyInput): Promise<SavedKey> {
  authorize(ctx, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const { provider, keyId } = given
  if (keyId !== undefined && !isId(keyId)) throw notFound('Provider key')
  const scope = { workspaceId: ctx.workspaceId }
  await inTenant(scope, (tx) => lockEntitledWorkspace(tx, ctx.workspaceId, provider))
  const name = checkKeyName(given.name)
  const input = await withSavedKey(ctx, given)
  const checked = checkCredential(provider, input.credential)
  if (!checked.ok) throw new AppError('bad_request', checked.code, checked.message, { field: checked.field })
  // What the provider itself handed over was asked for there, by a flow of its own that is limited.
  if (!input.byOauth) await countKeyCheck(ctx, provider)
  const probe = await probeKey(checked.credential)
  refuseBadKeys(input, probe)
  const verification = probe.outcome === 'valid' || probe.outcome === 'restricted' ? probe.outcome : 'unverified'
  const { sealedText } = checked
  const stored = await inTenant(scope, async (tx) => {
    await lockEntitledWorkspace(tx, ctx.workspaceId, provider)
    const { balance } = probe
    return storeSealedKey(tx, { ctx, provider, sealedText, verification, keyId, name, balance, byOauth: given.byOauth })
  })
  forgetOpenKeys(ctx.workspaceId)
  return {
    ...stored,
    verification,
    reason: probe.reason,
    reasonText: reasonText(provider, probe.reason),
    hint: maskCredential(checked.credential),
    limitRemainingUsd: probe.balance?.kind === 'key_limit' ? probe.balance.usd : null,
    warning: checked.warning,
  }
}
