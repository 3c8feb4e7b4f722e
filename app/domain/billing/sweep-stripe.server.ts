import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { log } from '#app/platform/log.server.ts'
import { listUndelivered } from './internal/stripe-events.server.ts'
import { syncCheckout } from './internal/sync-checkout.server.ts'
import { syncInvoice } from './internal/sync-invoice.server.ts'
import { storeEvent } from './store-event.server.ts'
import { syncEntitlement } from './sync-entitlement.server.ts'

/** A run that has not moved for this long lost its job, or Stripe was down for longer than the job was patient. */
const STALE_RUN_MS = 60 * 60 * 1000
/** Stripe keeps events for 30 days and delivers for three: what is older than a week was looked for by many sweeps. */
const UNDELIVERED_SINCE_S = 7 * 24 * 60 * 60
const CHECKOUT_LOOKED_AT_MS = 30 * 24 * 60 * 60 * 1000
/** Customers read at the same time. Each holds a connection; the pace of requests is set elsewhere. */
const AT_ONCE = 4

export interface SweepResult {
  workspaces: number
  failed: number
  runs: number
  /** Undelivered events that were not known yet. */
  events: number
}

/**
 * Hourly: takes the events that Stripe could not deliver, oldest first, looks at every linked customer and every Checkout that
 * was not over as if an event had come, so that events which were never made lose nothing but time (stripe §2.6, case 41), and sends unfinished runs on
 * their way again (case 30).
 */
export async function sweepStripe(now: Date): Promise<SweepResult> {
  const events = await takeUndelivered(now)
  const workspaces = await inSystem((tx) =>
    tx.workspace.findMany({ where: { stripeCustomerId: { not: null } }, select: { id: true }, orderBy: { id: 'asc' } }),
  )
  // One unreachable customer must not keep the others from being looked at; the next sweep tries again.
  const failed = await eachOf(workspaces, 'customer', ({ id }) =>
    syncEntitlement({ workspaceId: id, cause: 'sweep' }, now),
  )
  return {
    workspaces: workspaces.length,
    failed: failed + events.failed + (await mirrorUnpaid(now)) + (await lookAtCheckouts(now)),
    runs: await requeueStaleRuns(now),
    events: events.stored,
  }
}

async function takeUndelivered(now: Date): Promise<{ stored: number; failed: number }> {
  try {
    const since = Math.floor(now.getTime() / 1000) - UNDELIVERED_SINCE_S
    let stored = 0
    for (const event of await listUndelivered(since)) if ((await storeEvent(event, now)) === 'stored') stored += 1
    return { stored, failed: 0 }
  } catch (error) {
    log.warn({ err: error }, 'stripe sweep: undelivered events not read')
    return { stored: 0, failed: 1 }
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
  return eachOf(unpaid, 'invoice', ({ workspaceId, stripeInvoiceId }) =>
    syncInvoice(workspaceId, stripeInvoiceId as string, now),
  )
}

/**
 * Checkout sessions that were not over when last seen: what was paid without an event that said so is granted now. A session is
 * open for a day, and a debit takes two weeks at most. @returns how many were not read
 */
async function lookAtCheckouts(now: Date): Promise<number> {
  const waiting = await inSystem((tx) =>
    tx.checkout.findMany({
      where: {
        startedAt: { gt: new Date(now.getTime() - CHECKOUT_LOOKED_AT_MS) },
        OR: [{ status: 'open' }, { status: 'complete', paymentStatus: 'unpaid' }],
      },
      select: { workspaceId: true, id: true },
    }),
  )
  return eachOf(waiting, 'checkout', ({ workspaceId, id }) => syncCheckout(workspaceId, id, null, now))
}

/** Does something for each, a few at a time. @returns how many failed */
async function eachOf<T>(items: T[], what: string, act: (item: T) => Promise<unknown>): Promise<number> {
  const waiting = items[Symbol.iterator]()
  let failed = 0
  const worker = async () => {
    for (const item of waiting) {
      await act(item).catch((error: unknown) => {
        failed += 1
        log.warn({ item, err: error }, `stripe sweep: ${what} not read`)
      })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return failed
}

async function requeueStaleRuns(now: Date): Promise<number> {
  return inSystem(async (tx) => {
    const stale = await tx.invoiceRun.findMany({
      where: {
        OR: [
          { state: { in: ['frozen', 'writing'] }, updatedAt: { lt: new Date(now.getTime() - STALE_RUN_MS) } },
          { state: 'review', reviewUntil: { lt: new Date(now.getTime() - STALE_RUN_MS) } },
        ],
      },
      select: { workspaceId: true, id: true },
    })
    for (const { workspaceId, id } of stale) {
      await enqueueJob(tx, 'write-invoice-run', { workspaceId, runId: id }, { jobKey: `write:${id}` })
    }
    return stale.length
  })
}
