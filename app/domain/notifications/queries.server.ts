import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'

export interface NoticeRow {
  id: string
  title: string
  message: string
  /** Page below the workspace; null: none. */
  path: string | null
  raisedAt: string
  mailedAt: string | null
  dismissedAt: string | null
  /** Null: it is open, or it resolved itself. */
  dismissedBy: string | null
}

/** Dismissed and resolved notices that are still shown. */
const mostPast = 50
/** Open ones that are shown. */
const mostOpen = 200

/** The workspace's notices, newest first: those that are open, and the latest of those that are not. Every member reads them. */
export async function listNotices(ctx: Ctx): Promise<{ open: NoticeRow[]; past: NoticeRow[] }> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:Workspace', { workspaceId })
  const [open, past, people] = await inTenant({ workspaceId }, async (tx) => {
    const orderBy = [{ raisedAt: 'desc' as const }, { id: 'desc' as const }]
    const standing = await tx.notice.findMany({ where: { workspaceId, dismissedAt: null }, orderBy, take: mostOpen })
    const gone = { workspaceId, dismissedAt: { not: null } }
    const earlier = await tx.notice.findMany({ where: gone, orderBy, take: mostPast })
    const ids = earlier.flatMap(({ dismissedBy }) => dismissedBy ?? [])
    const names = await tx.user.findMany({ where: { id: { in: ids } }, select: { id: true, name: true } })
    return [standing, earlier, new Map(names.map(({ id, name }) => [id, name]))]
  })
  const toRow = (notice: (typeof open)[number]): NoticeRow => ({
    id: notice.id,
    title: notice.title,
    message: notice.message,
    path: notice.path,
    raisedAt: notice.raisedAt.toISOString(),
    mailedAt: notice.mailedAt?.toISOString() ?? null,
    dismissedAt: notice.dismissedAt?.toISOString() ?? null,
    dismissedBy: notice.dismissedBy && (people.get(notice.dismissedBy) ?? null),
  })
  return { open: open.map(toRow), past: past.map(toRow) }
}

/** How many notices are open: the number at the bell. */
export async function countOpenNotices(ctx: Ctx): Promise<number> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:Workspace', { workspaceId })
  return inTenant({ workspaceId }, (tx) => tx.notice.count({ where: { workspaceId, dismissedAt: null } }))
}
