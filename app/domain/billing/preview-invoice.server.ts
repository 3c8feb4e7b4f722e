import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { inSystem, inTenant, type Tx } from '#app/platform/db.server.ts'
import type { ComputedInvoice } from './billing.ts'
import { computeInvoice } from './compute-invoice.ts'
import { currentTerms, gatherMonth } from './internal/invoice-input.server.ts'
import { openingResidue } from './internal/usage-buckets.server.ts'

export interface InvoicePreview {
  invoice: ComputedInvoice
  /** Calls counted at 0 so far because their cost is not known yet. */
  heldCalls: bigint
}

/** What the month would be billed if it closed now, by the same function that closes it. */
export async function previewInvoice(ctx: Ctx, month: CalendarMonth): Promise<InvoicePreview> {
  authorize(ctx, 'read:Invoice', { workspaceId: ctx.workspaceId })
  return inTenant({ workspaceId: ctx.workspaceId }, (tx) => preview(tx, ctx.workspaceId, month))
}

/** The same for the operator's command line. */
export function previewInvoiceOf(workspaceId: string, month: CalendarMonth): Promise<InvoicePreview> {
  return inSystem((tx) => preview(tx, workspaceId, month))
}

async function preview(tx: Tx, workspaceId: string, month: CalendarMonth): Promise<InvoicePreview> {
  const terms = await currentTerms(tx, workspaceId)
  const { input, heldCalls } = await gatherMonth(tx, workspaceId, month, { terms })
  const invoice = computeInvoice({ ...input, openingResiduePico: await openingResidue(tx, workspaceId) })
  return { invoice, heldCalls }
}
