import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { RunStopped } from './errors.ts'
import { hashDigests, takeDigests } from './internal/digests.server.ts'
import { holdWorkspace, noteStopped } from './internal/run-store.server.ts'
import { replayInvoice } from './replay-invoice.server.ts'

export interface SealInput {
  workspaceId: string
  runId: string
}

/**
 * Hashes what stands behind a frozen run, once, before Stripe hears of it. The month is closed by then, so nothing is added to it
 * any more, and calls need not wait while millions of them are hashed. Along the way the calls are counted one by one: where they
 * do not come to the frozen lines, the run is held and nothing is sent.
 * @throws AppError not_found
 */
export async function sealInvoiceRun({ workspaceId, runId }: SealInput, now: Date): Promise<void> {
  const run = await inSystem((tx) =>
    tx.invoiceRun.findUnique({ where: { workspaceId_id: { workspaceId, id: runId } } }),
  )
  if (!run) throw notFound('Invoice run')
  if (run.callsHash || run.kind !== 'ai_usage') return
  const digests = await takeDigests(workspaceId, run.month as CalendarMonth)
  const replayed = await replayInvoice(run)
  const equal = replayed.linesHash === run.linesHash && replayed.totalCents === run.totalCents
  const unsealed = { workspaceId, id: runId, callsHash: null }
  await inSystem(async (tx) => {
    await holdWorkspace(tx, workspaceId)
    const { count } = await tx.invoiceRun.updateMany({
      where: unsealed,
      data: { callsHash: hashDigests(digests), sealedAt: now },
    })
    if (count === 0) return // another worker was quicker, and took the same hash
    await tx.invoiceDayDigest.createMany({
      data: digests.map(({ day, entries, ...digest }) => ({
        ...digest,
        ...{ workspaceId, runId, day: new Date(`${day}T00:00:00Z`), entries: BigInt(entries) },
      })),
    })
    if (equal) return
    // Also one that an operator holds, or held and resumed, before it was sealed. What cannot be resumed keeps its reason, and what
    // is not sent to Stripe at all has nothing to be held; the nightly comparison tells of both.
    const going = [{ state: { in: ['frozen', 'writing'] } }, { state: 'held', heldReason: 'operator_hold' }]
    const { count: stopped } = await tx.invoiceRun.updateMany({
      where: { workspaceId, id: runId, OR: going },
      data: { state: 'held', updatedAt: now },
    })
    if (stopped === 0) return
    const detail = `counted ${replayed.exactPico} pico in ${replayed.calls} calls, frozen ${run.exactPico} in ${run.calls}`
    await noteStopped(tx, run, RunStopped.held('recount_differs', detail), now)
  })
}
