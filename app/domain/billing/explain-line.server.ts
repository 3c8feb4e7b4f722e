import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { type CalendarMonth, monthEnd, monthStart } from '#app/platform/calendar-month.ts'
import { notFound } from '#app/platform/errors.ts'
import type { InvoiceLine, LineDetail } from './billing.ts'
import { type EntriesQuestion, type Entry, type EntryKind, readEntries } from './internal/entries.server.ts'
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

/** What may be behind a line. The collapsed tail holds small lines of every kind: its pages go through them one kind after the other. */
const kindsOf: Record<InvoiceLine['kind'], EntryKind[]> = {
  calls: ['call'],
  usage: ['usage'],
  correction: ['correction'],
  other: ['call', 'usage', 'correction'],
  key_fee: [],
  carried: [],
}

/** A cursor as it was given out: the kind that the page is of, and where in it; or the beginning. */
function cursorOf(text: string | null, kinds: EntryKind[]): { kind: EntryKind | undefined; after: string | null } {
  const [, named, after = null] =
    /^(call|usage|correction)(?: (\d{4}-\d{2}-\d{2}T[\d:.]{12}Z [0-9a-f-]{36} \d{1,6}))?$/.exec(text ?? '') ?? []
  const kind = kinds.find((one) => one === named)
  return kind ? { kind, after } : { kind: kinds[0], after: null }
}

/**
 * One line of an invoice with what is behind it: calls, events or corrections, a page at a time, of one kind each.
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
  const tail = line.kind === 'other'
  const question = {
    workspaceId: ctx.workspaceId,
    month: invoice.month as CalendarMonth,
    lines: tail ? { keys: lines.map((one) => one.lineKey), not: true } : { keys: [line.lineKey] },
    ...(!tail && { within: { from: monthStart(line.usageMonth), to: monthEnd(line.usageMonth) } }),
  }
  const { detail, quantityNano } = line
  return {
    invoice,
    line: { ...view, kind: line.kind, detail, quantityNano: quantityNano?.toString() ?? null },
    ...(await readPage(question, kindsOf[line.kind], after)),
  }
}

type Question = Omit<EntriesQuestion, 'kind' | 'after' | 'limit'>

/** One page of one kind: the first that has anything from the cursor on. */
async function readPage(question: Question, kinds: EntryKind[], cursor: string | null) {
  const from = cursorOf(cursor, kinds)
  for (const kind of kinds.slice(from.kind ? kinds.indexOf(from.kind) : 0)) {
    const after = kind === from.kind ? from.after : null
    const found = await readEntries({ ...question, kind, after, limit: pageSize + 1 })
    const entries = found.slice(0, pageSize)
    if (found.length > pageSize) return { entries, next: `${kind} ${entries.at(-1)?.cursor}` }
    if (entries.length) return { entries, next: await nextKind(question, kinds.slice(kinds.indexOf(kind) + 1)) }
  }
  return { entries: [], next: null }
}

async function nextKind(question: Question, kinds: EntryKind[]): Promise<EntryKind | null> {
  for (const kind of kinds) if ((await readEntries({ ...question, kind, after: null, limit: 1 })).length) return kind
  return null
}
