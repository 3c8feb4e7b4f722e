import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { providerIds } from '#app/domain/providers/provider.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'
import type { ProviderKeyStatus, PurgeCertificate } from './vault.ts'

/** Everything of a key's row that a page may be told: the secret columns are never read. */
const shown = { ciphertext: true, nonce: true, fingerprint: true, dataKeyId: true, algorithm: true } as const

const findKeys = (tx: Tx, workspaceId: string, provider?: string) =>
  tx.providerKey.findMany({
    where: { workspaceId, ...(provider ? { provider } : {}) },
    orderBy: [{ position: 'asc' }, { createdAt: 'asc' }],
    omit: shown,
    include: { models: { select: { models: true } } },
  })

type KeyRow = Awaited<ReturnType<typeof findKeys>>[number]

const timeText = (at: Date | null): string | null => at?.toISOString() ?? null

const balanceOf = (key: KeyRow): ProviderKeyStatus['balance'] =>
  key.balanceKind === null || key.balanceAt === null
    ? null
    : {
        kind: key.balanceKind as NonNullable<ProviderKeyStatus['balance']>['kind'],
        usd: key.balanceUsd?.toFixed() ?? null,
        at: key.balanceAt.toISOString(),
        low: key.balanceLow,
      }

const toStatus = (key: KeyRow, savers: Map<string, string>): ProviderKeyStatus => ({
  id: key.id,
  provider: key.provider,
  hint: key.hint,
  version: key.version,
  enabled: key.enabled,
  name: key.name,
  position: key.position,
  allowedModels: key.allowedModels,
  allowedSurfaces: key.allowedSurfaces,
  verification: key.verification as ProviderKeyStatus['verification'],
  verifiedAt: timeText(key.verifiedAt),
  savedAt: key.updatedAt.toISOString(),
  savedBy: savers.get(key.savedBy) ?? null,
  lastUsedAt: timeText(key.lastUsedAt),
  lastSuccessAt: timeText(key.lastSuccessAt),
  lastErrorCode: key.lastErrorCode,
  lastErrorText: key.lastErrorText,
  lastErrorAt: timeText(key.lastErrorAt),
  balance: balanceOf(key),
  modelCount: key.models?.models.length ?? null,
})

/** The workspace's keys, in the registry's order of providers and each provider's own order: every member may see this. */
export async function listProviderKeys(ctx: Ctx, provider?: string): Promise<ProviderKeyStatus[]> {
  authorize(ctx, 'read:ProviderKey', { workspaceId: ctx.workspaceId })
  return inTenant({ workspaceId: ctx.workspaceId }, async (tx) => {
    const keys = await findKeys(tx, ctx.workspaceId, provider)
    const ids = [...new Set(keys.map((key) => key.savedBy))]
    const people = await tx.user.findMany({ where: { id: { in: ids } }, select: { id: true, name: true } })
    const savers = new Map(people.map((person) => [person.id, person.name]))
    const rank = (key: KeyRow) => (providerIds as readonly string[]).indexOf(key.provider)
    return keys.toSorted((a, b) => rank(a) - rank(b)).map((key) => toStatus(key, savers))
  })
}

/** The first of the provider's keys, and how it stands; null where none is saved. */
export async function getProviderKeyStatus(ctx: Ctx, provider: string): Promise<ProviderKeyStatus | null> {
  return (await listProviderKeys(ctx, provider))[0] ?? null
}

/**
 * Ids of the models that the provider last listed for a key; null: its list was not read yet.
 * @throws AppError not_found, alike for a missing and a foreign id
 */
export async function listModelsOfKey(ctx: Ctx, keyId: string): Promise<string[] | null> {
  authorize(ctx, 'read:ProviderKey', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  if (!isId(keyId)) throw notFound('Provider key')
  const key = await inTenant({ workspaceId }, (tx) =>
    tx.providerKey.findFirst({ where: { workspaceId, id: keyId }, select: { models: { select: { models: true } } } }),
  )
  if (!key) throw notFound('Provider key')
  return key.models?.models ?? null
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
      action: { in: ['provider_key.saved', 'provider_key.replaced', 'provider_key.connected'] },
      detail: { path: ['version'], equals: keyVersion },
    },
    select: { detail: true },
  })
  const hint = (entry?.detail as { hint?: unknown } | null)?.hint
  return typeof hint === 'string' && hint ? hint : null
}
