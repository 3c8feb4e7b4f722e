import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { type ChainVerdict, verifyAuditChain } from './record-audit.server.ts'

export interface AuditRow {
  seq: string
  at: string
  actor: string
  action: string
  subject: string
  detail: Record<string, unknown>
}

export interface AuditPage {
  rows: AuditRow[]
  /** Pass as `before` for the next page. */
  next: string | null
  verdict: ChainVerdict
}

const PAGE = 50

/** The workspace's audit trail, newest first, with the verdict on its hash chain. */
export async function listAuditEvents(ctx: Ctx, before?: bigint): Promise<AuditPage> {
  authorize(ctx, 'read:AuditEvent', { workspaceId: ctx.workspaceId })
  return inTenant({ workspaceId: ctx.workspaceId }, async (tx) => {
    const found = await tx.auditEvent.findMany({
      where: { workspaceId: ctx.workspaceId, ...(before === undefined ? {} : { seq: { lt: before } }) },
      orderBy: { seq: 'desc' },
      take: PAGE + 1,
    })
    const userIds = found.flatMap((row) => (row.actorKind === 'user' && row.actorId ? [row.actorId] : []))
    const users = await tx.user.findMany({ where: { id: { in: userIds } }, select: { id: true, name: true } })
    const names = new Map(users.map((user) => [user.id, user.name]))
    const page = found.slice(0, PAGE)
    const rows = page.map((row) => ({
      seq: row.seq.toString(),
      at: row.at.toISOString(),
      actor: (row.actorId && names.get(row.actorId)) || row.actorKind,
      action: row.action,
      subject: `${row.subjectType} ${row.subjectId}`,
      detail: row.detail as Record<string, unknown>,
    }))
    return {
      rows,
      next: found.length > PAGE ? (page.at(-1)?.seq.toString() ?? null) : null,
      verdict: await verifyAuditChain(tx, ctx.workspaceId),
    }
  })
}
