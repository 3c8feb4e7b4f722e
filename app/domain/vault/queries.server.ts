import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'
import type { ProviderKeyStatus, PurgeCertificate } from './vault.ts'

/** Whether a key is configured and how it stands: every member may see this. */
export async function getProviderKeyStatus(ctx: Ctx, provider: string): Promise<ProviderKeyStatus | null> {
  authorize(ctx, 'read:ProviderKey', { workspaceId: ctx.workspaceId })
  return inTenant({ workspaceId: ctx.workspaceId }, async (tx) => {
    const key = await tx.providerKey.findFirst({
      where: { workspaceId: ctx.workspaceId, provider },
      orderBy: { position: 'asc' },
      omit: { ciphertext: true, nonce: true, fingerprint: true, dataKeyId: true },
    })
    if (!key) return null
    const saver = await tx.user.findUnique({ where: { id: key.savedBy }, select: { name: true } })
    return {
      id: key.id,
      provider: key.provider,
      hint: key.hint,
      version: key.version,
      enabled: key.enabled,
      verification: key.verification as ProviderKeyStatus['verification'],
      savedAt: key.updatedAt.toISOString(),
      savedBy: saver?.name ?? null,
      lastErrorCode: key.lastErrorCode,
      lastErrorAt: key.lastErrorAt?.toISOString() ?? null,
    }
  })
}

type PurgeRow = Awaited<ReturnType<typeof findPurges>>[number]

const findPurges = (workspaceId: string, id?: string) =>
  inTenant({ workspaceId }, (tx) =>
    tx.keyPurge.findMany({ where: { workspaceId, ...(id ? { id } : {}) }, orderBy: { purgedAt: 'desc' } }),
  )

const toCertificate = (row: PurgeRow): PurgeCertificate => ({
  id: row.id,
  provider: row.provider,
  hint: row.hint,
  keyVersion: row.keyVersion,
  fingerprint: Buffer.from(row.fingerprint).toString('hex'),
  dataKeyId: row.dataKeyId,
  cause: row.cause,
  causeReference: row.causeReference,
  fromPlan: row.fromPlanId,
  toPlan: row.toPlanId,
  keyEpoch: row.keyEpoch.toString(),
  purgedAt: row.purgedAt.toISOString(),
})

/** Certificates of destruction, newest first: every member may see them. */
export async function listPurgeCertificates(ctx: Ctx): Promise<PurgeCertificate[]> {
  authorize(ctx, 'read:ProviderKey', { workspaceId: ctx.workspaceId })
  return (await findPurges(ctx.workspaceId)).map(toCertificate)
}

/** @throws AppError not_found, alike for a missing and a foreign id */
export async function getPurgeCertificate(ctx: Ctx, id: string): Promise<PurgeCertificate> {
  authorize(ctx, 'read:ProviderKey', { workspaceId: ctx.workspaceId })
  const [row] = isId(id) ? await findPurges(ctx.workspaceId, id) : []
  if (!row) throw notFound('Certificate')
  return toCertificate(row)
}

/** Masked hint of one version of a key, from the trail it left: also of a replaced, removed or destroyed one. */
export async function findKeyHint(
  tx: Tx,
  { workspaceId, keyId, keyVersion }: { workspaceId: string; keyId: string; keyVersion: number },
): Promise<string | null> {
  const entry = await tx.auditEvent.findFirst({
    where: {
      workspaceId,
      subjectType: 'provider_key',
      subjectId: keyId,
      action: { in: ['provider_key.saved', 'provider_key.replaced'] },
      detail: { path: ['version'], equals: keyVersion },
    },
    select: { detail: true },
  })
  const hint = (entry?.detail as { hint?: unknown } | null)?.hint
  return typeof hint === 'string' && hint ? hint : null
}
