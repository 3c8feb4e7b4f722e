import type { Clock } from '#app/platform/clock.ts'
import { env } from '#app/platform/env.server.ts'
import type { RunState } from './billing.ts'
import { withRunLock } from './internal/advisory-lock.server.ts'
import { waitsForReview } from './internal/review.server.ts'
import { loadRun, runStore } from './internal/run-store.server.ts'
import * as stripe from './internal/stripe.server.ts'
import { writeRun } from './internal/write-run.ts'
import { sealInvoiceRun } from './seal-invoice-run.server.ts'

export interface WriteInput {
  workspaceId: string
  runId: string
}

/** `busy`: another process is writing this run; come back later. */
export type WriteResult = RunState | 'busy'

/**
 * Brings a frozen run into Stripe, exactly once, from wherever an earlier attempt was cut off (stripe §2.2–2.3): customer,
 * draft, items, comparison of every line with the frozen copy, finalisation. Whatever is wrong holds the run for a human.
 * @throws StripeCallError where Stripe's state is unknown for now: the job comes again
 */
export async function writeInvoiceRun(input: WriteInput, now: Clock): Promise<WriteResult> {
  const result = await withRunLock(input.runId, async () => {
    await sealInvoiceRun(input, now())
    const bundle = await loadRun(input.workspaceId, input.runId)
    return writeRun(bundle, { store: runStore, stripe, appOrigin: env().appOrigin, waitsForReview, now })
  })
  return result ?? 'busy'
}
