import { describeFinding, type InvoiceProof } from '#app/domain/billing/proof.ts'
import type { InvoiceDetail, InvoiceLineView } from '#app/domain/billing/queries.server.ts'
import { type CalendarMonth, monthName } from '#app/platform/calendar-month.ts'
import { displayCents, PICO_PER_CENT } from '#app/platform/pico.ts'
import { count, exactMoney } from '#app/ui/money.ts'
import { utcMinute } from '#app/ui/time.ts'
import { type InvoiceRow, invoiceStatus } from './billing-view.ts'

export interface LineRow {
  key: string
  description: string
  how: string
  /** The calls behind the line; null where there are none. */
  calls: { to: string | null; text: string }
  tokens: string
  tierPrice: string
  rawCost: string
  exact: string
  amount: string
}

export interface InvoiceView {
  back: string
  title: string
  status: string
  tone: InvoiceRow['tone']
  explanation: string | null
  facts: [label: string, value: string][]
  hostedUrl: string | null
  lines: LineRow[]
  totals: { calls: string; exact: string; amount: string }
  residue: { label: string; amount: string; strong?: boolean }[]
  linesHash: string
}

const explanations: Record<string, string> = {
  held: 'This invoice waits until somebody has looked at it. Its lines are fixed and do not change; you need not do anything.',
  carried: 'The total is below the smallest amount that can be charged, so it is added to the next invoice.',
  done_zero: 'Nothing is owed for this month: there is no invoice to pay.',
  uncollectable: 'The billing customer no longer exists, so this invoice was not sent.',
}

const DAY_MS = 86_400_000
const LONGEST_DAYS = 366

/** The analytics page, narrowed to exactly the calls that the line sums. */
function callsLink(root: string, month: string, filter: NonNullable<InvoiceLineView['callsFilter']>): string {
  const last = Date.parse(filter.to) - DAY_MS
  const from = Math.max(Date.parse(filter.from), last - (LONGEST_DAYS - 1) * DAY_MS)
  const day = (at: number) => new Date(at).toISOString().slice(0, 10)
  const params = new URLSearchParams({ from: day(from), to: day(last), billed: month })
  if (filter.tier) params.set('tier', filter.tier)
  if (filter.keySource) params.set('key', filter.keySource)
  if (filter.chargeMode) params.set('mode', filter.chargeMode)
  if (filter.priceBookVersion !== null) params.set('prices', String(filter.priceBookVersion))
  return `${root}/analytics?${params}`
}

const how: Record<string, string> = {
  tier: 'Cost + surcharge: our key paid, the tier price is owed.',
  tier_margin: 'Margin only: your key paid, the tier price less your cost is owed, never below $0 per call.',
  carried: 'Too little to be charged on its own; added here.',
  mixed: 'Many small lines together.',
}

function toLine(root: string, month: string, line: InvoiceLineView): LineRow {
  const margin = line.chargeMode === 'tier_margin'
  const priced = margin || line.chargeMode === 'tier'
  return {
    key: line.lineKey,
    description: line.description,
    how: how[line.chargeMode] ?? '',
    calls: {
      to: line.callsFilter && callsLink(root, month, line.callsFilter),
      text: line.callsFilter ? count(line.calls) : '–',
    },
    tokens: line.callsFilter ? `${count(line.inputTokens)} in, ${count(line.outputTokens)} out` : '–',
    tierPrice: priced ? exactMoney(line.tierPricePico) : '–',
    rawCost: margin ? exactMoney(line.rawCostPico) : '–',
    exact: exactMoney(line.exactPico),
    amount: displayCents(BigInt(line.amountCents)),
  }
}

export function toInvoiceView(root: string, invoice: InvoiceDetail): InvoiceView {
  const [status, tone] = invoiceStatus(invoice)
  const billed = BigInt(invoice.totalCents)
  const optional = (label: string, value: string | null): [string, string][] => (value === null ? [] : [[label, value]])
  return {
    back: `${root}/settings/billing`,
    title: `Invoice for ${monthName(invoice.month as CalendarMonth)}`,
    status,
    tone,
    explanation: explanations[invoice.state] ?? null,
    facts: [
      ...optional('Number', invoice.stripeInvoiceNumber),
      ['Month', `${monthName(invoice.month as CalendarMonth)}, UTC`],
      ['Currency', invoice.currency.toUpperCase()],
      ['Lines fixed', utcMinute(invoice.frozenAt)],
      ...optional('Issued', invoice.finalizedAt && utcMinute(invoice.finalizedAt)),
      ...optional('Revision', invoice.revision > 1 ? String(invoice.revision) : null),
    ],
    hostedUrl: invoice.hostedInvoiceUrl,
    lines: invoice.lines.map((line) => toLine(root, invoice.month, line)),
    totals: {
      calls: count(invoice.calls),
      exact: exactMoney(invoice.lines.reduce((sum, line) => sum + BigInt(line.exactPico), 0n)),
      amount: displayCents(billed),
    },
    residue: [
      { label: 'Left over from the invoice before', amount: exactMoney(invoice.openingResiduePico) },
      { label: "This month's calls, exactly", amount: exactMoney(invoice.exactPico) },
      { label: 'Billed, rounded once to cents', amount: `−${exactMoney(billed * PICO_PER_CENT)}` },
      { label: 'Left over for the next invoice', amount: exactMoney(invoice.closingResiduePico), strong: true },
    ],
    linesHash: invoice.linesHash,
  }
}

export interface Verdict {
  equal: boolean
  message: string
  findings: string[]
}

const stripeWords: Record<InvoiceProof['stripe'], string> = {
  equal: ' Stripe holds the same lines.',
  different: ' Stripe holds other lines.',
  none: '',
  unreachable: ' Stripe could not be asked just now.',
}

export function toVerdict(proof: InvoiceProof): Verdict {
  const calls = `${count(proof.recountedCalls)} calls`
  const rated = proof.ratedAgain ? ', each priced again by its own price book,' : ''
  return {
    equal: proof.equal,
    findings: proof.findings.map(describeFinding),
    message: proof.equal
      ? `Verified: ${calls}, counted again one by one${rated} come to exactly ${exactMoney(proof.recountedExactPico)} and to these very lines.${stripeWords[proof.stripe]}`
      : `Something differs from what was invoiced: ${calls} come to ${exactMoney(proof.recountedExactPico)}. Please tell us: nothing was changed.`,
  }
}
