import type { Tx } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'

/** Something that the workspace's own people are to know. */
export interface NoticeInput {
  workspaceId: string
  kind: string
  /** What it is about: one open notice per kind and reference. */
  reference: string
  title: string
  message: string
  /** Page of the console below the workspace, such as `settings/billing`. */
  path: string | null
  at: Date
}

/**
 * Raises a notice in the caller's transaction, unless one of its kind and reference is open already. A job mails it.
 * @returns whether it is new
 */
export async function raiseNotice(tx: Tx, notice: NoticeInput): Promise<boolean> {
  const { workspaceId, kind, reference, title, message, path, at } = notice
  const raised = await tx.$executeRaw`
    INSERT INTO notices (workspace_id, id, kind, reference, title, message, path, raised_at)
    VALUES (${workspaceId}::uuid, ${newId()}::uuid, ${kind}, ${reference}, ${title}, ${message}, ${path}, ${at})
    ON CONFLICT (workspace_id, kind, reference) WHERE dismissed_at IS NULL DO NOTHING`
  return raised > 0
}
