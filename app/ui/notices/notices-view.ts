import type { NoticeRow } from '#app/domain/notifications/queries.server.ts'
import { utcMinute } from '#app/ui/time.ts'
import type { NoticesView, NoticeView } from './notices-page.tsx'

const endedText = ({ dismissedAt, dismissedBy }: NoticeRow): string | null => {
  if (dismissedAt === null) return null
  return dismissedBy
    ? `Dismissed ${utcMinute(dismissedAt)} by ${dismissedBy}.`
    : `Over since ${utcMinute(dismissedAt)}.`
}

const toView = (root: string, row: NoticeRow): NoticeView => ({
  id: row.id,
  title: row.title,
  message: row.message,
  when: `${utcMinute(row.raisedAt)}${row.mailedAt ? ', mailed' : ''}.`,
  ended: endedText(row),
  to: row.path && `${root}/${row.path}`,
})

export const toNoticesView = (
  root: string,
  rows: { open: NoticeRow[]; past: NoticeRow[] },
  canDismiss: boolean,
): NoticesView => ({
  open: rows.open.map((row) => toView(root, row)),
  past: rows.past.map((row) => toView(root, row)),
  canDismiss,
})
