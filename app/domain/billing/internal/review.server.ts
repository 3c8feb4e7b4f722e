import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import type { WrittenRun } from './writer-ports.ts'

const HOUR_MS = 3_600_000

/**
 * Whether a draft that is written and equal still waits for an operator. Its window begins when it is first asked, by the setting of
 * that moment, and a job comes when it is over; an approval ends it at once.
 */
export function waitsForReview({ workspaceId, id }: WrittenRun, now: Date): Promise<boolean> {
  return inSystem(async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM invoice_runs WHERE workspace_id = ${workspaceId}::uuid AND id = ${id}::uuid FOR UPDATE`
    const where = { workspaceId_id: { workspaceId, id } }
    const { approvedAt, reviewUntil } = await tx.invoiceRun.findUniqueOrThrow({ where })
    if (approvedAt) return false
    if (reviewUntil) {
      if (reviewUntil <= now) return false
      await tx.invoiceRun.update({ where, data: { state: 'review' } })
      return true
    }
    const { reviewHours = 0 } = (await tx.billingSettings.findUnique({ where: { id: 1 } })) ?? {}
    if (reviewHours === 0) return false
    const until = new Date(now.getTime() + reviewHours * HOUR_MS)
    await tx.invoiceRun.update({ where, data: { state: 'review', reviewUntil: until, updatedAt: now } })
    await enqueueJob(tx, 'write-invoice-run', { workspaceId, runId: id }, { jobKey: `review:${id}`, runAt: until })
    return true
  })
}
