import { issueCreditNote } from '#app/domain/billing/credit-invoice.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import type { Task } from '../task.ts'

/** How long to leave a run alone that somebody else is writing. */
const BUSY_MS = 30_000

export const issueDecidedCreditNote: Task<'issue-credit-note'> = async (payload, { now }) => {
  if ((await issueCreditNote(payload, now)) !== 'busy') return
  const later = { jobKey: `credit:${payload.creditNoteId}`, runAt: new Date(now().getTime() + BUSY_MS) }
  await inSystem((tx) => enqueueJob(tx, 'issue-credit-note', payload, later))
}
