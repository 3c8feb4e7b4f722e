import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'
import type { GatewayTokenRow } from './tokens.ts'

/** The workspace's tokens, live ones first, newest first. */
export async function listGatewayTokens(ctx: Ctx): Promise<GatewayTokenRow[]> {
  authorize(ctx, 'read:GatewayToken', { workspaceId: ctx.workspaceId })
  return inTenant({ workspaceId: ctx.workspaceId }, async (tx) => {
    const rows = await tx.gatewayToken.findMany({
      where: { workspaceId: ctx.workspaceId },
      omit: { hash: true },
      orderBy: [{ revokedAt: { sort: 'desc', nulls: 'first' } }, { createdAt: 'desc' }],
    })
    const users = await tx.user.findMany({
      where: { id: { in: rows.map((row) => row.createdBy) } },
      select: { id: true, name: true },
    })
    const names = new Map(users.map((user) => [user.id, user.name]))
    return rows.map((row) => ({
      id: row.id,
      name: row.name,
      displayStart: row.displayStart,
      createdAt: row.createdAt.toISOString(),
      createdBy: names.get(row.createdBy) ?? null,
      lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
      revokedAt: row.revokedAt?.toISOString() ?? null,
    }))
  })
}
