import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'

/**
 * Revokes a token at once: every call asks the database, so the next one is refused. Revoking again changes nothing.
 * @throws AppError not_found, alike for a missing and a foreign token
 */
export async function revokeGatewayToken(ctx: Ctx, input: { id: string }): Promise<void> {
  authorize(ctx, 'manage:GatewayToken', { workspaceId: ctx.workspaceId })
  if (!isId(input.id)) throw notFound('Token')
  const { workspaceId } = ctx
  const at = ctx.now()
  await inTenant({ workspaceId }, async (tx) => {
    const token = await tx.gatewayToken.findUnique({ where: { workspaceId_id: { workspaceId, id: input.id } } })
    if (!token) throw notFound('Token')
    if (token.revokedAt) return
    await tx.gatewayToken.update({ where: { workspaceId_id: { workspaceId, id: input.id } }, data: { revokedAt: at } })
    await recordAudit(tx, {
      workspaceId,
      actor: ctx.actor,
      action: 'gateway_token.revoked',
      subjectType: 'gateway_token',
      subjectId: input.id,
      detail: { name: token.name, displayStart: token.displayStart },
      at,
    })
  })
}
