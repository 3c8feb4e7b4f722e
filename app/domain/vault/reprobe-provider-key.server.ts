import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { type KeyProbe, probeKey } from '#app/domain/providers/probe-key.server.ts'
import { reasonText } from '#app/domain/providers/probe-reasons.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { lockWorkspaceRow } from './entitled-workspace.server.ts'
import type { ProviderKeyModel } from './internal/key-row.ts'
import { noteBalance } from './note-balance.server.ts'
import { openProviderKey } from './open-provider-key.server.ts'

const findKey = (workspaceId: string, keyId: string): Promise<ProviderKeyModel | null> =>
  inSystem((tx) => tx.providerKey.findUnique({ where: { workspaceId_id: { workspaceId, id: keyId } } }))

/** What changes in the row: a refusal is written with its words, a success takes a refusal back (not a lack of credit). */
function changesBy(row: ProviderKeyModel, probe: KeyProbe, refused: boolean, at: Date) {
  if (refused) {
    const lastErrorText = reasonText(row.provider as never, probe.reason)
    return { lastErrorCode: probe.reason, lastErrorText, lastErrorAt: at }
  }
  const clear = probe.reason === 'no_credit' || row.lastErrorCode === 'payment_required'
  const error = clear ? {} : { lastErrorCode: null, lastErrorText: null, lastErrorAt: null }
  return { verification: probe.outcome, verifiedAt: at, ...error }
}

async function writeNews(tx: Tx, row: ProviderKeyModel, probe: KeyProbe, refused: boolean, at: Date): Promise<void> {
  const { workspaceId, id: keyId, provider, version } = row
  const isNews = refused
    ? row.lastErrorCode !== probe.reason
    : row.verification !== probe.outcome || row.lastErrorCode !== null
  if (isNews)
    await recordAudit(tx, {
      workspaceId,
      actor: { kind: 'system' },
      action: refused ? 'provider_key.refused_by_provider' : 'provider_key.verified',
      subjectType: 'provider_key',
      subjectId: keyId,
      detail: { provider, version, reason: probe.reason },
      at,
    })
  if (!refused) return resolveAlert(tx, 'provider_key_refused', keyId, at)
  await raiseAlert(tx, {
    kind: 'provider_key_refused',
    reference: keyId,
    workspaceId,
    message: `A saved ${provider} key is refused by the provider (${probe.reason}).`,
    at,
  })
}

/**
 * Asks the provider again about a saved key: a minute after it was saved unverified, and every day. Refused: the error is
 * shown on the card, the key stays (its calls fail visibly), since disabling it would move the spend to the platform key
 * unasked.
 * @throws AppError upstream where a key that was never verified still cannot be: the job's own back-off tries again
 */
export async function reprobeProviderKey(
  input: { workspaceId: string; keyId: string },
  at: Date,
): Promise<'gone' | 'valid' | 'restricted' | 'invalid' | 'unasked'> {
  const { workspaceId, keyId } = input
  const row = await findKey(workspaceId, keyId)
  if (!row?.enabled) return 'gone'
  const probe = await probeKey(await openProviderKey({ workspaceId, keyId, keyVersion: row.version }))
  if (probe.outcome === 'unverified') {
    if (row.verification !== 'unverified') return 'unasked'
    const internal = probe.reason
    throw new AppError('upstream', 'provider_unreachable', 'The provider could not be asked yet.', { internal })
  }
  const refused = probe.outcome === 'invalid' || probe.outcome === 'management'
  await inSystem(async (tx) => {
    await lockWorkspaceRow(tx, workspaceId)
    const data = changesBy(row, probe, refused, at)
    const { version: keyVersion } = row
    const updated = await tx.providerKey.updateMany({ where: { workspaceId, id: keyId, version: keyVersion }, data })
    if (!updated.count) return
    await writeNews(tx, row, probe, refused, at)
    const { balance } = probe
    if (!refused && balance) await noteBalance(tx, { workspaceId, keyId, keyVersion, balance, at })
  })
  if (refused) return 'invalid'
  return probe.outcome === 'restricted' ? 'restricted' : 'valid'
}
