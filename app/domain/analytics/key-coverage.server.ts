import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { indexModels, matchModel } from '#app/domain/providers/model-ids.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'

/** How far a key would carry what the workspace does: of the models it used in the last 30 days, which the key cannot call. */
export interface KeyCoverage {
  keyId: string
  /** Null: the provider's list has not been read yet. */
  listedAt: string | null
  used: number
  missing: { model: string; calls: number; reason: 'not_listed' | 'ambiguous' | 'not_allowed' }[]
}

const days = 30

/**
 * Which of the models that the workspace used in the last 30 days would fail with this key, busiest first: asked of what
 * the provider last listed for it.
 * @throws AppError not_found
 */
export async function getKeyCoverage(ctx: Ctx, keyId: string): Promise<KeyCoverage> {
  authorize(ctx, 'read:ProviderKey', { workspaceId: ctx.workspaceId })
  if (!isId(keyId)) throw notFound('Provider key')
  const { workspaceId } = ctx
  const since = new Date(ctx.now().getTime() - days * 86_400_000)
  return inTenant({ workspaceId }, async (tx) => {
    const key = await tx.providerKey.findUnique({
      where: { workspaceId_id: { workspaceId, id: keyId } },
      select: { version: true, allowedModels: true, models: true },
    })
    if (!key) throw notFound('Provider key')
    const used = await tx.$queryRaw<{ model: string; calls: bigint }[]>`
      SELECT model, sum(calls)::bigint AS calls FROM metering.call_daily_rollups
       WHERE workspace_id = ${workspaceId}::uuid AND day >= ${since}::date GROUP BY model ORDER BY calls DESC, model`
    const listed = key.models?.keyVersion === key.version ? key.models : null
    if (!listed) return { keyId, listedAt: null, used: used.length, missing: [] }
    const index = indexModels(listed.models)
    const missing: KeyCoverage['missing'] = []
    for (const { model, calls } of used) {
      const match = matchModel(model, index)
      const allowed =
        key.allowedModels.length === 0 ||
        key.allowedModels.includes(model) ||
        (match.kind === 'found' && key.allowedModels.includes(match.model))
      if (match.kind === 'found' && allowed) continue
      const reason = match.kind === 'absent' ? 'not_listed' : match.kind === 'ambiguous' ? 'ambiguous' : 'not_allowed'
      missing.push({ model, calls: Number(calls), reason })
    }
    return { keyId, listedAt: listed.fetchedAt.toISOString(), used: used.length, missing }
  })
}
