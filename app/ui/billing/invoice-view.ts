import { dollarLine } from '#app/domain/billing/billing.ts'
import { describeFinding, type InvoiceProof } from '#app/domain/billing/proof.ts'
import type { InvoiceDetail, InvoiceLineView } from '#app/domain/billing/queries.server.ts'
import { displayExact, displayMinor, picoPerMinor } from '#app/domain/pricing/currency.ts'
import { type CalendarMonth, monthName } from '#app/platform/calendar-month.ts'
import { count, exactMoney } from '#app/ui/money.ts'
import { utcMinute } from '#app/ui/time.ts'
import { type InvoiceRow, invoiceStatus } from './billing-view.ts'

export interface LineRow {
  key: string
  description: string
  how: string
  /** The page that shows what is behind the line. */
  to: string
  calls: string
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
  callsHash: string | null
  statement: string
  exports: { label: string; to: string }[]
}

const explanations: Record<string, string> = {
  held: 'This invoice waits until somebody has looked at it. Its lines are fixed and do not change; you need not do anything.',
  carried: 'The total is below the smallest amount that can be charged, so it is added to the next invoice.',
  done_zero: 'Nothing is owed for this month: there is no invoice to pay.',
  uncollectable: 'The billing customer no longer exists, so this invoice was not sent.',
}

function explanationOf(invoice: InvoiceDetail): string | null {
  const text = explanations[invoice.state] ?? null
  if (invoice.state !== 'carried' || !dollarLine(invoice)) return text
  return `${text} Some of it is reckoned in USD, which cannot be billed in ${invoice.currency.toUpperCase()}: the invoice that it would be charged on waits until somebody has looked at it.`
}

const how: Record<string, string> = {
  tier: 'Cost + surcharge: our key paid, the tier price is owed.',
  tier_margin: 'Margin only: your key paid, the tier price less your cost is owed, never below $0 per call.',
  markup: 'A share of the cost. Of a free model: of the lowest rate that anybody pays for it.',
  credits: 'Paid out of credits.',
  flat_fee: 'Your key paid; the monthly key fee covers it.',
  pass_through: 'Your key paid; nothing is owed here.',
  usage: 'Usage that is no model call, at its price per unit.',
  key_fee: 'For the time that an own key was enabled. Two keys at once are one fee.',
  correction: 'What calls of closed months were charged too much or too little. Those invoices stay as they are.',
  carried: 'Too little to be charged on its own; added here.',
  mixed: 'Many small lines together.',
}

/** What a credit took off the line before it was rounded. */
function reduced(line: InvoiceLineView, currency: string): string {
  const { reducedPico } = line.detail
  return typeof reducedPico === 'string' ? ` Less a credit of ${displayExact(BigInt(reducedPico), currency)}.` : ''
}

function toLine(pages: string, currency: string, line: InvoiceLineView): LineRow {
  const margin = line.chargeMode === 'tier_margin'
  const priced = margin || line.chargeMode === 'tier' || line.chargeMode === 'credits'
  const ofCalls = line.kind === 'calls' || line.kind === 'other'
  const exact = (amount: string) => displayExact(BigInt(amount), currency)
  return {
    key: line.lineKey,
    description: line.description,
    how: `${how[line.chargeMode] ?? ''}${reduced(line, currency)}`.trim(),
    to: `${pages}/lines/${line.position}`,
    calls: ofCalls || line.kind === 'correction' ? count(line.calls) : '–',
    tokens: ofCalls ? `${count(line.inputTokens)} in, ${count(line.outputTokens)} out` : '–',
    tierPrice: priced ? exact(line.tierPricePico) : '–',
    rawCost: margin || line.chargeMode === 'markup' ? exact(line.rawCostPico) : '–',
    exact: exact(line.exactPico),
    amount: displayMinor(BigInt(line.amountCents), currency),
  }
}

const exportsOf = (pages: string): InvoiceView['exports'] => [
  { label: 'Lines, CSV', to: `${pages}/export?what=lines&format=csv` },
  { label: 'Lines, JSON', to: `${pages}/export?what=lines&format=json` },
  { label: 'Every call, CSV', to: `${pages}/export?what=calls&format=csv` },
  { label: 'Every call, JSON', to: `${pages}/export?what=calls&format=json` },
]

export function toInvoiceView(root: string, invoice: InvoiceDetail): InvoiceView {
  const [status, tone] = invoiceStatus(invoice)
  const billed = BigInt(invoice.totalCents)
  const { currency } = invoice
  const exact = (amount: bigint | string) => displayExact(BigInt(amount), currency)
  const pages = `${root}/settings/billing/invoices/${invoice.runId}`
  const optional = (label: string, value: string | null): [string, string][] => (value === null ? [] : [[label, value]])
  return {
    back: `${root}/settings/billing`,
    statement: `${pages}/statement`,
    exports: exportsOf(pages),
    title: `${invoice.kind === 'correction' ? 'Correction' : 'Invoice'} for ${monthName(invoice.month as CalendarMonth)}`,
    status,
    tone,
    explanation: explanationOf(invoice),
    facts: [
      ...optional('Number', invoice.stripeInvoiceNumber),
      ['Month', `${monthName(invoice.month as CalendarMonth)}, UTC`],
      ['Currency', invoice.currency.toUpperCase()],
      ['Lines fixed', utcMinute(invoice.frozenAt)],
      ...optional('Issued', invoice.finalizedAt && utcMinute(invoice.finalizedAt)),
      ...optional('Revision', invoice.revision > 1 ? String(invoice.revision) : null),
    ],
    hostedUrl: invoice.hostedInvoiceUrl,
    lines: invoice.lines.map((line) => toLine(pages, currency, line)),
    totals: {
      calls: count(invoice.calls),
      exact: exact(invoice.lines.reduce((sum, line) => sum + BigInt(line.exactPico), 0n)),
      amount: displayMinor(billed, currency),
    },
    residue: [
      { label: 'Left over from the invoice before', amount: exact(invoice.openingResiduePico) },
      { label: 'This month, exactly', amount: exact(invoice.exactPico) },
      { label: 'Billed, rounded once', amount: `−${exact(billed * picoPerMinor(currency))}` },
      { label: 'Left over for the next invoice', amount: exact(invoice.closingResiduePico), strong: true },
    ],
    callsHash: invoice.callsHash,
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
    findings: proof.findings.map((finding) => describeFinding(finding, proof.currency)),
    message: proof.equal
      ? `Verified: ${calls}, counted again one by one${rated} come to exactly ${exactMoney(proof.recountedExactPico, proof.currency)} and to these very lines.${stripeWords[proof.stripe]}`
      : `Something differs from what was invoiced: ${calls} come to ${exactMoney(proof.recountedExactPico, proof.currency)}. Please tell us: nothing was changed.`,
  }
}
