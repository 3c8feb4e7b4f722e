import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { probeKey } from '#app/domain/providers/probe-key.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { openProviderKey } from './open-provider-key.server.ts'

/**
 * Asks the provider again about a key that was saved unverified. Valid: marked so. Invalid: the error is shown on the card,
 * the key stays (its calls fail visibly), since disabling it would move the spend to the platform key unasked.
 * @throws AppError upstream where the provider still cannot be asked: the job's own back-off tries again
 */
export async function reprobeProviderKey(
  input: { workspaceId: string; keyId: string },
  at: Date,
): Promise<'gone' | 'valid' | 'invalid'> {
  const { workspaceId, keyId } = input
  const row = await inSystem((tx) =>
    tx.providerKey.findUnique({ where: { workspaceId_id: { workspaceId, id: keyId } } }),
  )
  if (!row || row.verification === 'valid') return 'gone'
  const key = await openProviderKey({ workspaceId, keyId, keyVersion: row.version })
  const probe = await probeKey(key)
  if (probe.outcome === 'unverified')
    throw new AppError('upstream', 'provider_unreachable', 'The provider could not be asked yet.', {
      internal: probe.reason,
    })
  const valid = probe.outcome === 'valid'
  await inSystem(async (tx) => {
    const data = valid
      ? { verification: 'valid', verifiedAt: at, lastErrorCode: null, lastErrorAt: null }
      : { lastErrorCode: probe.reason, lastErrorAt: at }
    const updated = await tx.providerKey.updateMany({ where: { workspaceId, id: keyId, version: row.version }, data })
    if (!updated.count) return
    const action = valid ? 'provider_key.verified' : 'provider_key.refused_by_provider'
    await recordAudit(tx, {
      workspaceId,
      actor: { kind: 'system' },
      action,
      subjectType: 'provider_key',
      subjectId: keyId,
      detail: { provider: row.provider, version: row.version, reason: probe.reason },
      at,
    })
    if (!valid)
      await raiseAlert(tx, {
        kind: 'provider_key_refused',
        reference: keyId,
        workspaceId,
        message: `A saved ${row.provider} key is refused by the provider (${probe.reason}).`,
        at,
      })
  })
  return valid ? 'valid' : 'invalid'
}
