/** One run as operators see it: everything of it, and what can be done about it. */
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { type CalendarMonth, shiftMonth } from '#app/platform/calendar-month.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'
import { type Resolution, resolutionsOf } from './billing.ts'
import { creditReasons } from './credit-invoice.server.ts'
import { type InvoiceLineView, listInvoiceRuns, type OperatorInvoice, toLineViews } from './queries.server.ts'

export { creditReasons }

export interface CreditNoteRow {
  id: string
  amountCents: string
  reason: string
  memo: string
  state: string
  number: string | null
  failure: string | null
  createdAt: string
}

export interface OperatedInvoice {
  invoice: OperatorInvoice
  lines: (InvoiceLineView & { creditedCents: string })[]
  resolutions: readonly Resolution[]
  /** Whether it can be held or approved, and credited. */
  unfinished: boolean
  creditable: boolean
  creditNotes: CreditNoteRow[]
  /** Total of the month before, for comparison; null where there was none. */
  lastMonthCents: string | null
}

const unfinished = ['frozen', 'writing', 'review']

/** @throws AppError not_found */
export async function operateInvoice(ctx: OperatorCtx, runId: string): Promise<OperatedInvoice> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  if (!isId(runId)) throw notFound('Invoice run')
  const [invoice] = await listInvoiceRuns(ctx, { runId })
  if (!invoice) throw notFound('Invoice run')
  const { workspaceId, month, kind } = invoice
  return inSystem(async (tx) => {
    const lines = await tx.invoiceLine.findMany({ where: { workspaceId, runId }, orderBy: { position: 'asc' } })
    const notes = await tx.creditNote.findMany({ where: { workspaceId, runId }, orderBy: { createdAt: 'asc' } })
    const before = await tx.invoiceRun.findFirst({
      where: { workspaceId, kind, month: shiftMonth(month as CalendarMonth, -1), state: { not: 'superseded' } },
      orderBy: { revision: 'desc' },
    })
    const credited = (lineKey: string) =>
      notes
        .filter((note) => note.state !== 'refused')
        .flatMap((note) => (note.lines as { lines: { lineKey: string; amountCents: string }[] }).lines)
        .filter((line) => line.lineKey === lineKey)
        .reduce((sum, line) => sum + BigInt(line.amountCents), 0n)
    return {
      invoice,
      lines: toLineViews(month, lines).map((line) => ({ ...line, creditedCents: credited(line.lineKey).toString() })),
      resolutions: resolutionsOf(invoice.state, invoice.heldReason),
      unfinished: unfinished.includes(invoice.state),
      creditable: invoice.state === 'done' && ['open', 'paid'].includes(invoice.stripeStatus ?? ''),
      creditNotes: notes.map((note) => ({
        ...{
          id: note.id,
          reason: note.reason,
          memo: note.memo,
          state: note.state,
          number: note.number,
          failure: note.failure,
        },
        ...{ amountCents: note.amountCents.toString(), createdAt: note.createdAt.toISOString() },
      })),
      lastMonthCents: before?.totalCents.toString() ?? null,
    }
  })
}

/** Totals of the month before, by workspace: what a draft in review is compared with. */
export async function totalsOfMonth(ctx: OperatorCtx, month: CalendarMonth): Promise<Record<string, string>> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const rows = await inSystem((tx) =>
    tx.invoiceRun.findMany({
      where: { month, kind: 'ai_usage', state: { not: 'superseded' } },
      select: { workspaceId: true, totalCents: true },
    }),
  )
  return Object.fromEntries(rows.map((row) => [row.workspaceId, row.totalCents.toString()]))
}
