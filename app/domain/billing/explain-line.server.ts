import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { type CalendarMonth, monthEnd, monthStart } from '#app/platform/calendar-month.ts'
import { notFound } from '#app/platform/errors.ts'
import type { InvoiceLine, LineDetail } from './billing.ts'
import { type Entry, type EntryKind, readEntries } from './internal/entries.server.ts'
import { loadRun } from './internal/run-store.server.ts'
import { getInvoice, type InvoiceDetail, type InvoiceLineView } from './queries.server.ts'

export type { Entry }

export interface ExplainedLine {
  invoice: InvoiceDetail
  line: InvoiceLineView & { kind: InvoiceLine['kind']; detail: LineDetail; quantityNano: string | null }
  entries: Entry[]
  /** Where the next page begins; null: this is the last. */
  next: string | null
}

const pageSize = 50

const kindOf: Partial<Record<InvoiceLine['kind'], EntryKind>> = {
  calls: 'call',
  other: 'call',
  usage: 'usage',
  correction: 'correction',
}

/** A cursor as it was given out, or the beginning. */
const cursorOf = (text: string | null): string | null =>
  text && /^\d{4}-\d{2}-\d{2}T[\d:.]{12}Z [0-9a-f-]{36} \d{1,6}$/.test(text) ? text : null

/**
 * One line of an invoice with what is behind it: calls, events or corrections, a page at a time.
 * @throws AppError not_found, alike for a missing and a foreign invoice, and for a line that it does not have
 */
export async function explainLine(
  ctx: Ctx,
  runId: string,
  position: number,
  after: string | null,
): Promise<ExplainedLine> {
  authorize(ctx, 'read:Invoice', { workspaceId: ctx.workspaceId })
  const invoice = await getInvoice(ctx, runId)
  const { lines } = await loadRun(ctx.workspaceId, runId)
  const line = lines.find((one) => one.position === position)
  const view = invoice.lines.find((one) => one.lineKey === line?.lineKey)
  if (!line || !view) throw notFound('Invoice line')
  const kind = kindOf[line.kind]
  const month = invoice.month as CalendarMonth
  const kept = lines.filter((one) => one.kind === 'calls').map((one) => one.lineKey)
  const found = kind
    ? await readEntries({
        workspaceId: ctx.workspaceId,
        ...{ month, kind, after: cursorOf(after), limit: pageSize + 1 },
        lines: line.kind === 'other' ? { keys: kept, not: true } : { keys: [line.lineKey] },
        ...(line.kind !== 'other' && { within: { from: monthStart(line.usageMonth), to: monthEnd(line.usageMonth) } }),
      })
    : []
  const entries = found.slice(0, pageSize)
  const { detail, quantityNano } = line
  return {
    invoice,
    line: { ...view, kind: line.kind, detail, quantityNano: quantityNano?.toString() ?? null },
    entries,
    next: found.length > pageSize ? (entries.at(-1)?.cursor ?? null) : null,
  }
}
