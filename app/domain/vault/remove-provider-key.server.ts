import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'
import { lockWorkspaceRow, raiseKeyEpoch } from './entitled-workspace.server.ts'
import { forgetKeyNotices } from './note-balance.server.ts'
import { forgetOpenKeys } from './open-provider-key.server.ts'

/**
 * Removes a key: from the next dispatch on, calls use the provider's next key, or the platform key at the tier price. Allowed
 * on every plan: deleting one's own secret never needs an entitlement.
 * @throws AppError not_found, alike for a missing and a foreign id
 */
export async function removeProviderKey(ctx: Ctx, { keyId }: { keyId: string }): Promise<void> {
  authorize(ctx, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  if (!isId(keyId)) throw notFound('Provider key')
  await inTenant({ workspaceId }, async (tx) => {
    await lockWorkspaceRow(tx, workspaceId)
    const key = await tx.providerKey.findFirst({ where: { workspaceId, id: keyId } })
    if (!key) throw notFound('Provider key')
    await tx.providerKey.delete({ where: { workspaceId_id: { workspaceId, id: keyId } } })
    await forgetKeyNotices(tx, workspaceId, keyId, ctx.now())
    await recordAudit(tx, {
      workspaceId,
      actor: ctx.actor,
      action: 'provider_key.removed',
      subjectType: 'provider_key',
      subjectId: keyId,
      detail: { provider: key.provider, version: key.version, hint: key.hint },
      at: ctx.now(),
    })
    await raiseKeyEpoch(tx, workspaceId)
  })
  forgetOpenKeys(workspaceId)
}
