import { writeInvoiceRun } from '#app/domain/billing/write-invoice-run.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import type { Task } from '../task.ts'

/** How long to leave a run alone that somebody else is writing, by command or in another worker. */
const BUSY_MS = 30_000

/** A busy run is no failure: it is looked at again, in case whoever writes it dies. */
export const writeRun: Task<'write-invoice-run'> = async ({ workspaceId, runId }, { now }) => {
  if ((await writeInvoiceRun({ workspaceId, runId }, now)) !== 'busy') return
  const later = { jobKey: `write:${runId}`, runAt: new Date(now().getTime() + BUSY_MS) }
  await inSystem((tx) => enqueueJob(tx, 'write-invoice-run', { workspaceId, runId }, later))
}
