import type { Statement } from '#app/domain/billing/statement.server.ts'
import { displayMinor } from '#app/domain/pricing/currency.ts'
import { type CalendarMonth, monthName } from '#app/platform/calendar-month.ts'
import { providerName } from '#app/ui/analytics/analytics-view.ts'
import { utcMinute } from '#app/ui/time.ts'
import { type InvoiceView, type LineRow, toInvoiceView } from './invoice-view.ts'

export interface StatementView {
  back: string
  title: string
  workspace: string
  month: string
  number: string
  status: string
  lines: (LineRow & { sums: string })[]
  totals: InvoiceView['totals']
  tax: string
  residue: [string, string][]
  facts: [string, string][]
  keys: [string, string][]
  notes: string[]
}

/** Tier price and cost in words, where the line has them: the two columns that paper has no room for. */
function sumsOf(line: LineRow): string {
  if (line.tierPrice === '–') return line.rawCost === '–' ? '' : `Cost ${line.rawCost}.`
  return line.rawCost === '–'
    ? `Tokens ${line.tokens}.`
    : `Tokens ${line.tokens}. Tier price ${line.tierPrice}, provider’s cost ${line.rawCost}.`
}

/** The tail of a long invoice may hold margins. */
const hasMargin = ({ lines }: Statement['invoice']): boolean =>
  lines.some((line) => line.chargeMode === 'tier_margin' || (line.kind === 'other' && line.rawCostPico !== '0'))

function floorNote(currency: string): string {
  const zero = displayMinor(0n, currency)
  return `The floor of ${zero} is per call: where a provider charged more than the tier price, that call is charged ${zero}, and takes nothing off another.`
}

export function toStatementView(root: string, { invoice, workspaceName, keys }: Statement): StatementView {
  const view = toInvoiceView(root, invoice)
  return {
    back: `${root}/settings/billing/invoices/${invoice.runId}`,
    title: view.title,
    workspace: workspaceName,
    month: monthName(invoice.month as CalendarMonth),
    number: invoice.stripeInvoiceNumber ? `Invoice ${invoice.stripeInvoiceNumber}` : 'No invoice was issued',
    status: view.status,
    lines: view.lines.map((line) => ({ ...line, sums: sumsOf(line) })),
    totals: view.totals,
    tax: invoice.stripeInvoiceNumber ? ', without tax' : '',
    residue: view.residue.map(({ label, amount }) => [label, amount]),
    facts: [
      ['Run', invoice.runId],
      ['Currency', invoice.currency.toUpperCase()],
      ['Lines fixed', utcMinute(invoice.frozenAt)],
      ...(invoice.finalizedAt ? [['Issued', utcMinute(invoice.finalizedAt)] as [string, string]] : []),
    ],
    keys: keys.map((key) => [providerName(key.provider), `${key.hint}, fingerprint ${key.fingerprint}`]),
    notes: [
      ...(hasMargin(invoice) ? [floorNote(invoice.currency)] : []),
      'Every call was priced once, when it ended, by the price book in force when it was sent. Sums are exact; the whole is rounded once, and what is left over opens the next statement.',
      `Fingerprint of the lines (SHA-256): ${invoice.linesHash}`,
      ...(invoice.callsHash ? [`Fingerprint of every call behind them (SHA-256): ${invoice.callsHash}`] : []),
    ],
  }
}
