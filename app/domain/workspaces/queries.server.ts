import { authorize, type Ctx, type Role } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'

export interface MemberRow {
  userId: string
  name: string
  email: string
  role: Role
  since: string
}

/** The workspace's people by name. */
export async function listMembers(ctx: Ctx): Promise<MemberRow[]> {
  authorize(ctx, 'read:Member', { workspaceId: ctx.workspaceId })
  const rows = await inTenant({ workspaceId: ctx.workspaceId }, (tx) =>
    tx.member.findMany({
      where: { workspaceId: ctx.workspaceId },
      include: { user: { select: { name: true, email: true } } },
      orderBy: [{ user: { name: 'asc' } }, { userId: 'asc' }],
    }),
  )
  return rows.map(({ userId, role, createdAt, user }) => ({
    userId,
    name: user.name,
    email: user.email,
    role: role as Role,
    since: createdAt.toISOString(),
  }))
}
