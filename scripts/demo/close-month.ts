import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { writeInvoiceRun } from '#app/domain/billing/write-invoice-run.server.ts'
import { monthOf, shiftMonth } from '#app/platform/calendar-month.ts'
import { inSystem } from '#app/platform/db.server.ts'

/** Invoices the month before this one. */
export async function closeLastMonth(workspaceId: string, now: Date): Promise<void> {
  const run = await freezeInvoiceRun({ workspaceId, month: shiftMonth(monthOf(now), -1), now })
  if (run) await writeInvoiceRun({ workspaceId, runId: run.runId }, () => now)
}

/** How long Ember's draft waits for an operator: longer than anybody tries the demo in one go. */
const REVIEW_HOURS = 72

/** As `closeLastMonth`, with a review window: the draft waits to be approved or held. Afterwards there is no window, as before. */
export async function closeIntoReview(workspaceId: string, now: Date): Promise<void> {
  const setWindow = (reviewHours: number) => {
    const row = { reviewHours, updatedAt: now }
    return inSystem((tx) => tx.billingSettings.upsert({ where: { id: 1 }, create: { id: 1, ...row }, update: row }))
  }
  await setWindow(REVIEW_HOURS)
  await closeLastMonth(workspaceId, now)
  await setWindow(0)
}
