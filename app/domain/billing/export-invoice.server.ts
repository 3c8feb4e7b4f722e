/** An invoice's lines, and every call, event and correction behind them, as CSV and JSON: streamed, exact, with the same sums. */
import { stringify } from 'csv-stringify/sync'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { minorDigits } from '#app/domain/pricing/currency.ts'
import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { picoToUsd } from '#app/platform/pico.ts'
import { type Entry, type EntryKind, readEntries } from './internal/entries.server.ts'
import { loadRun } from './internal/run-store.server.ts'
import { getInvoice, type InvoiceDetail } from './queries.server.ts'

const pageSize = 5_000
const kinds: EntryKind[] = ['call', 'usage', 'correction']

type Row = Record<string, string>

const exact = (pico: string | null): string => (pico === null ? '' : picoToUsd(BigInt(pico)))

/** Minor units as a decimal of the main one: cents as dollars. */
function decimalOf(minor: string, currency: string): string {
  const digits = minorDigits(currency)
  if (digits === 0) return minor
  const text = minor.replace('-', '').padStart(digits + 1, '0')
  return `${minor.startsWith('-') ? '-' : ''}${text.slice(0, -digits)}.${text.slice(-digits)}`
}

const lineRow = (line: InvoiceDetail['lines'][number], index: number, currency: string): Row => ({
  line: String(index + 1),
  line_key: line.lineKey,
  description: line.description,
  usage_month: line.usageMonth,
  charge_mode: line.chargeMode,
  tier: line.tier,
  key_source: line.keySource,
  price_book_version: line.priceBookVersion === null ? '' : String(line.priceBookVersion),
  calls: line.calls,
  input_tokens: line.inputTokens,
  output_tokens: line.outputTokens,
  tier_price: exact(line.tierPricePico),
  raw_cost: exact(line.rawCostPico),
  exact: exact(line.exactPico),
  amount: decimalOf(line.amountCents, currency),
})

const entryRow = (entry: Entry, known: Set<string>): Row => ({
  kind: entry.kind,
  line_key: known.has(entry.lineKey) ? entry.lineKey : 'other',
  id: entry.id,
  at_utc: entry.at,
  what: entry.what,
  provider: entry.provider ?? '',
  status: entry.status ?? '',
  tier: entry.tier ?? '',
  key_source: entry.keySource ?? '',
  charge_mode: entry.chargeMode ?? '',
  input_tokens: entry.inputTokens ?? '',
  output_tokens: entry.outputTokens ?? '',
  cache_read_tokens: entry.cacheReadTokens ?? '',
  cache_write_tokens: entry.cacheWriteTokens ?? '',
  quantity: entry.quantity ?? '',
  unit_price: entry.unitUsd ?? '',
  price_book_version: entry.priceBookVersion,
  raw_cost: exact(entry.rawCostPico),
  tier_price: exact(entry.tierPricePico),
  markup_basis: exact(entry.basisPico),
  markup_basis_points: entry.markupBp ?? '',
  drawn_from_credits: exact(entry.creditPico),
  charged_before: exact(entry.beforePico),
  charge: exact(entry.chargePico),
  hashed_text: entry.hashedText ?? '',
})

/** What a spreadsheet would run is made plain; numbers stay numbers, negative ones too. */
const plainCell = (text: string): string =>
  /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text) ? `'${text}` : text

const csvLines = (rows: string[][]): string =>
  stringify(
    rows.map((row) => row.map(plainCell)),
    { record_delimiter: '\r\n', escape_formulas: false },
  )

async function* entryPages(ctx: Ctx, invoice: InvoiceDetail): AsyncGenerator<Row[]> {
  const { run } = await loadRun(ctx.workspaceId, invoice.runId)
  if (run.kind !== 'ai_usage') return
  const known = new Set(invoice.lines.map((line) => line.lineKey))
  const question = { workspaceId: ctx.workspaceId, month: invoice.month as CalendarMonth, limit: pageSize }
  for (const kind of kinds) {
    let after: string | null = null
    for (;;) {
      const page: Entry[] = await readEntries({ ...question, kind, after })
      if (page.length) yield page.map((entry) => entryRow(entry, known))
      if (page.length < pageSize) break
      after = page.at(-1)?.cursor ?? null
    }
  }
}

const headers = (row: Row): string => csvLines([Object.keys(row)])
const emptyEntry = {
  kind: 'call',
  lineKey: '',
  id: '',
  at: '',
  what: '',
  priceBookVersion: '',
  chargePico: '0',
} as Entry

/** @throws AppError forbidden, not_found with the first piece */
export async function* exportInvoiceCsv(ctx: Ctx, runId: string, what: 'lines' | 'calls'): AsyncGenerator<string> {
  authorize(ctx, 'read:Invoice', { workspaceId: ctx.workspaceId })
  const invoice = await getInvoice(ctx, runId)
  if (what === 'lines') {
    const rows = invoice.lines.map((line, index) => lineRow(line, index, invoice.currency))
    const [first] = rows
    yield (first ? headers(first) : '') + csvLines(rows.map((row) => Object.values(row)))
    return
  }
  yield headers(
    entryRow(
      { ...emptyEntry, rawCostPico: null, tierPricePico: null, basisPico: null, creditPico: null, beforePico: null },
      new Set(),
    ),
  )
  for await (const page of entryPages(ctx, invoice)) yield csvLines(page.map((row) => Object.values(row)))
}

/** One document: the invoice, its lines, and with `calls` every entry behind them. Amounts are decimals as text. */
export async function* exportInvoiceJson(ctx: Ctx, runId: string, what: 'lines' | 'calls'): AsyncGenerator<string> {
  authorize(ctx, 'read:Invoice', { workspaceId: ctx.workspaceId })
  const { lines, ...invoice } = await getInvoice(ctx, runId)
  const head = {
    ...{ run: invoice.runId, month: invoice.month, currency: invoice.currency, number: invoice.stripeInvoiceNumber },
    ...{ opening_residue: exact(invoice.openingResiduePico), exact: exact(invoice.exactPico) },
    ...{ total: decimalOf(invoice.totalCents, invoice.currency), closing_residue: exact(invoice.closingResiduePico) },
    ...{ lines_hash: invoice.linesHash, calls_hash: invoice.callsHash },
  }
  const rows = lines.map((line, index) => lineRow(line, index, invoice.currency))
  yield `{"invoice":${JSON.stringify(head)},"lines":${JSON.stringify(rows)}`
  if (what === 'calls') {
    yield ',"entries":['
    let comma = ''
    for await (const page of entryPages(ctx, { ...invoice, lines })) {
      yield comma + page.map((row) => JSON.stringify(row)).join(',\n')
      comma = ',\n'
    }
    yield ']'
  }
  yield '}\n'
}
