import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type Ctx, type Role } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { lockWorkspace } from './change-plan.server.ts'

/**
 * Gives a member another role. The workspace is locked meanwhile: of two owners who step down at once, one stays.
 * @throws AppError conflict `last_owner`, not_found alike for a missing and a foreign member
 */
export async function changeMemberRole(ctx: Ctx, { userId, role }: { userId: string; role: Role }): Promise<void> {
  authorize(ctx, 'manage:Member', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  await inTenant({ workspaceId }, async (tx) => {
    await lockWorkspace(tx, workspaceId)
    const key = { workspaceId_userId: { workspaceId, userId } }
    const member = await tx.member.findUnique({ where: key })
    if (!member) throw notFound('Member')
    if (member.role === role) return
    const owners = await tx.member.count({ where: { workspaceId, role: 'owner' } })
    if (member.role === 'owner' && owners === 1)
      throw new AppError(
        'conflict',
        'last_owner',
        'This is the only owner. Make somebody else an owner first, or nobody could manage the workspace.',
        { field: 'role' },
      )
    await tx.member.update({ where: key, data: { role } })
    await recordAudit(tx, {
      workspaceId,
      actor: ctx.actor,
      action: 'member.role_changed',
      subjectType: 'member',
      subjectId: userId,
      detail: { from: member.role, to: role },
      at: ctx.now(),
    })
  })
}
