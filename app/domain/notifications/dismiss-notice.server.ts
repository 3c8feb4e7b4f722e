import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'

/**
 * Takes a notice off everybody's list; the row stays, with who did it. Once dismissed, it stays so: a second time changes
 * nothing.
 * @throws AppError forbidden, not_found (alike for a missing and a foreign id)
 */
export async function dismissNotice(ctx: Ctx, { id }: { id: string }): Promise<void> {
  const { workspaceId } = ctx
  authorize(ctx, 'manage:Billing', { workspaceId })
  if (!isId(id)) throw notFound('Notice')
  await inTenant({ workspaceId }, async (tx) => {
    const { count } = await tx.notice.updateMany({
      where: { workspaceId, id, dismissedAt: null },
      data: { dismissedAt: ctx.now(), dismissedBy: ctx.actor.id },
    })
    if (!count && !(await tx.notice.count({ where: { workspaceId, id } }))) throw notFound('Notice')
  })
}
