import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { forgetOpenKeys } from './open-provider-key.server.ts'

/**
 * Removes the workspace's key: from the next dispatch on, calls use the platform key at the tier price. Allowed on every
 * plan: deleting one's own secret never needs an entitlement.
 */
export async function removeProviderKey(ctx: Ctx, input: { provider: ProviderId }): Promise<void> {
  authorize(ctx, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  await inTenant({ workspaceId }, async (tx) => {
    await tx.$queryRaw`SELECT id::text FROM workspaces WHERE id = ${workspaceId}::uuid FOR UPDATE`
    const key = await tx.providerKey.findFirst({
      where: { workspaceId, provider: input.provider },
      orderBy: { position: 'asc' },
    })
    if (!key) throw notFound('Provider key')
    await tx.providerKey.delete({ where: { workspaceId_id: { workspaceId, id: key.id } } })
    await recordAudit(tx, {
      workspaceId,
      actor: ctx.actor,
      action: 'provider_key.removed',
      subjectType: 'provider_key',
      subjectId: key.id,
      detail: { provider: key.provider, version: key.version, hint: key.hint },
      at: ctx.now(),
    })
    await tx.workspace.update({ where: { id: workspaceId }, data: { keyEpoch: { increment: 1 } } })
  })
  forgetOpenKeys(workspaceId)
}
