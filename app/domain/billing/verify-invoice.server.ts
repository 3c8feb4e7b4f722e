import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'
import { computeInvoice } from './compute-invoice.ts'
import { gatherMonth, readTerms } from './internal/invoice-input.server.ts'

export interface InvoiceVerdict {
  /** Whether the calls, counted again one by one, come to the very lines that were frozen. */
  equal: boolean
  frozenHash: string
  recountedHash: string
  recountedCalls: string
  recountedExactPico: string
}

/**
 * Recounts a closed month from its single calls, not from the rollups the close used, and compares with the frozen lines
 * (stripe §4 case 78). Anybody who may read the invoice may ask for it.
 * @throws AppError not_found
 */
export async function verifyInvoice(ctx: Ctx, runId: string): Promise<InvoiceVerdict> {
  authorize(ctx, 'read:Invoice', { workspaceId: ctx.workspaceId })
  if (!isId(runId)) throw notFound('Invoice')
  return inTenant({ workspaceId: ctx.workspaceId }, async (tx) => {
    const run = await tx.invoiceRun.findUnique({
      where: { workspaceId_id: { workspaceId: ctx.workspaceId, id: runId } },
    })
    if (!run) throw notFound('Invoice')
    const terms = readTerms(run.currency, run.terms)
    const { input } = await gatherMonth(tx, ctx.workspaceId, run.month as CalendarMonth, { terms, from: 'calls' })
    const recounted = computeInvoice({ ...input, openingResiduePico: BigInt(run.openingResiduePico.toFixed(0)) })
    return {
      equal: recounted.linesHash === run.linesHash && recounted.totalCents === run.totalCents,
      frozenHash: run.linesHash,
      recountedHash: recounted.linesHash,
      recountedCalls: recounted.calls.toString(),
      recountedExactPico: recounted.exactPico.toString(),
    }
  })
}
