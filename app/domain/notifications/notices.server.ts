import type { Tx } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'

/** Something that the workspace's own people are to know. */
export interface NoticeInput {
  workspaceId: string
  kind: string
  /** What it is about: one open notice per kind and reference. */
  reference: string
  /** Also the mail's subject: words of our own, never of a provider's or a customer's. */
  title: string
  /** Never a secret: it is mailed, and every member reads it. */
  message: string
  /** Page of the console below the workspace, such as `settings/billing`. */
  path: string | null
  at: Date
  /** Not raised again for so long after the last one, in ms, also where that one was dismissed meanwhile. */
  quietMs?: number
}

/**
 * Raises a notice in the caller's transaction, unless one of its kind and reference is open already. A job mails it.
 * @returns whether it is new
 */
export async function raiseNotice(tx: Tx, notice: NoticeInput): Promise<boolean> {
  const { workspaceId, kind, reference, title, message, path, at, quietMs = 0 } = notice
  const notSince = new Date(at.getTime() - quietMs)
  const raised = await tx.$executeRaw`
    INSERT INTO notices (workspace_id, id, kind, reference, title, message, path, raised_at)
    SELECT ${workspaceId}::uuid, ${newId()}::uuid, ${kind}, ${reference}, ${title}, ${message}, ${path}, ${at}
     WHERE ${quietMs}::float8 = 0 OR NOT EXISTS (
       SELECT FROM notices WHERE workspace_id = ${workspaceId}::uuid AND kind = ${kind} AND reference = ${reference}
          AND raised_at > ${notSince})
    ON CONFLICT (workspace_id, kind, reference) WHERE dismissed_at IS NULL DO NOTHING`
  return raised > 0
}

export interface ResolvedNotice {
  workspaceId: string
  kinds: readonly string[]
  reference: string
  at: Date
}

/** What a notice said no longer holds: it goes by itself, in the caller's transaction. One that nobody raised is no error. */
export async function resolveNotices(tx: Tx, { workspaceId, kinds, reference, at }: ResolvedNotice): Promise<void> {
  const where = { workspaceId, kind: { in: [...kinds] }, reference, dismissedAt: null }
  await tx.notice.updateMany({ where, data: { dismissedAt: at } })
}

/** As `resolveNotices`, for one kind of notice about many things, in one statement. */
export async function resolveNoticesAbout(
  tx: Tx,
  kind: string,
  about: { workspaceId: string; reference: string }[],
  at: Date,
): Promise<void> {
  await tx.$executeRaw`
    UPDATE notices n SET dismissed_at = ${at}
      FROM unnest(${about.map((one) => one.workspaceId)}::uuid[], ${about.map((one) => one.reference)}::text[])
           AS a (workspace_id, reference)
     WHERE n.workspace_id = a.workspace_id AND n.reference = a.reference AND n.kind = ${kind} AND n.dismissed_at IS NULL`
}
