import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { log } from '#app/platform/log.server.ts'
import { syncInvoice } from './internal/sync-invoice.server.ts'
import { syncEntitlement } from './sync-entitlement.server.ts'

/** A run that has not moved for this long lost its job, or Stripe was down for longer than the job was patient. */
const STALE_RUN_MS = 60 * 60 * 1000

export interface SweepResult {
  workspaces: number
  failed: number
  runs: number
}

/**
 * Hourly: looks at every linked customer as if an event had come, so that events which never came lose nothing but time
 * (stripe §2.6, case 41), and sends unfinished runs on their way again (case 30).
 */
export async function sweepStripe(now: Date): Promise<SweepResult> {
  const workspaces = await inSystem((tx) =>
    tx.workspace.findMany({ where: { stripeCustomerId: { not: null } }, select: { id: true }, orderBy: { id: 'asc' } }),
  )
  let failed = 0
  for (const { id } of workspaces) {
    try {
      await syncEntitlement({ workspaceId: id, cause: 'sweep' }, now)
    } catch (error) {
      // One unreachable customer must not keep the others from being looked at; the next sweep tries again.
      failed += 1
      log.warn({ workspace: id, err: error }, 'stripe sweep: customer not read')
    }
  }
  return {
    workspaces: workspaces.length,
    failed: failed + (await mirrorUnpaid(now)),
    runs: await requeueStaleRuns(now),
  }
}

/** Invoices that were not settled when last seen: the event that said so may have been lost. @returns how many were not read */
async function mirrorUnpaid(now: Date): Promise<number> {
  const unpaid = await inSystem((tx) =>
    tx.invoiceRun.findMany({
      where: {
        state: 'done',
        stripeStatus: { in: ['draft', 'open', 'uncollectible'] },
        stripeInvoiceId: { not: null },
      },
      select: { workspaceId: true, stripeInvoiceId: true },
    }),
  )
  let failed = 0
  for (const { workspaceId, stripeInvoiceId } of unpaid) {
    await syncInvoice(workspaceId, stripeInvoiceId as string, now).catch((error: unknown) => {
      failed += 1
      log.warn({ workspace: workspaceId, err: error }, 'stripe sweep: invoice not read')
    })
  }
  return failed
}

async function requeueStaleRuns(now: Date): Promise<number> {
  return inSystem(async (tx) => {
    const stale = await tx.invoiceRun.findMany({
      where: { state: { in: ['frozen', 'writing'] }, updatedAt: { lt: new Date(now.getTime() - STALE_RUN_MS) } },
      select: { workspaceId: true, id: true },
    })
    for (const { workspaceId, id } of stale) {
      await enqueueJob(tx, 'write-invoice-run', { workspaceId, runId: id }, { jobKey: `write:${id}` })
    }
    return stale.length
  })
}
