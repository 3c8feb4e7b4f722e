/**
 * The invoice of a month, as a pure function of what the month's calls come to. Preview, dry run, the real run and the replay
 * of a closed month are this function, so what was shown is what is billed (stripe §2.4, §4 cases 20–22, 54–57, 60, 63–66, 69,
 * 78, 79, 82).
 */
import { createHash } from 'node:crypto'
import { type CurrencyRules, currencyRules } from '#app/domain/pricing/currency.ts'
import { type CalendarMonth, shiftMonth } from '#app/platform/calendar-month.ts'
import { divideHalfEven, type Pico } from '#app/platform/pico.ts'
import {
  type ComputedInvoice,
  type CorrectionBucket,
  type InvoiceLine,
  type InvoiceOutcome,
  MAX_LINES,
  type MeterBucket,
  type UsageBucket,
} from './billing.ts'
import { addLine, compareText, type DraftLine, draftLines, emptyLine } from './invoice-lines.ts'
import type { KeyFee } from './key-fee.ts'

export interface ComputeInvoiceInput {
  month: CalendarMonth
  /** Default `usd`. */
  currency?: string
  /** Those that the invoice was frozen by. Default: the currency's as they are now. */
  rules?: CurrencyRules
  buckets: UsageBucket[]
  meters?: MeterBucket[]
  fees?: KeyFee[]
  corrections?: CorrectionBucket[]
  /** Closing residue of the workspace's last run, 0 for its first. */
  openingResiduePico: Pico
  /** The workspace has left: nothing is carried any further, however little it is (stripe §2.2). */
  leaving?: boolean
  /** Default 100. */
  maxLines?: number
}

/**
 * Sums buckets into lines, rounds the whole once to what the currency bills (half to even) and spreads the total over the
 * lines by largest remainder, ties by line key. The fraction that is left opens the next month. Less than Stripe's minimum is
 * carried whole, unless the workspace leaves; so is a credit. Nothing is re-priced here: every charge was fixed when its call
 * was settled.
 */
export function computeInvoice(input: ComputeInvoiceInput): ComputedInvoice {
  const { month, currency = 'usd', buckets, meters = [], fees = [], corrections = [], openingResiduePico } = input
  const all = draftLines({ month, currency, buckets, meters, fees, corrections })
  const exactPico = sum(all.map((line) => line.exactPico))
  const { digits, step, minimum } = input.rules ?? currencyRules(currency)
  const picoPerMinor = 10n ** BigInt(12 - digits)
  const unit = picoPerMinor * step
  const owedPico = openingResiduePico + exactPico
  const rounded = divideHalfEven(owedPico, unit) * step
  const outcome = outcomeOf(rounded, input.leaving ? 1n : minimum)
  const totalCents = outcome === 'bill' ? rounded : 0n
  // Where nothing else is owed, a fraction that rounds to a whole unit is a line too: an invoice has to say what it bills.
  const least = all.some((line) => line.exactPico > 0n) ? unit : 1n
  const carried = outcome === 'bill' ? carriedLine(month, openingResiduePico, least) : []
  const drafts = [...collapseTail(all, (input.maxLines ?? MAX_LINES) - carried.length, month), ...carried]
  const opening = carried.length ? 0n : openingResiduePico
  const lines = withAmounts(drafts, outcome === 'bill' ? spread(drafts, totalCents / step, opening, unit) : [], step)
  return {
    month,
    currency,
    outcome,
    lines,
    calls: sum(buckets.map((bucket) => bucket.calls)),
    openingResiduePico,
    exactPico,
    totalCents,
    closingResiduePico: owedPico - totalCents * picoPerMinor,
    linesHash: hashLines(lines),
  }
}

const outcomeOf = (rounded: bigint, minimum: bigint): InvoiceOutcome =>
  rounded === 0n ? 'done_zero' : rounded < minimum ? 'carried' : 'bill'

const withAmounts = (drafts: DraftLine[], units: Share[], step: bigint): InvoiceLine[] =>
  drafts.map((line, index) => {
    const share = units[index] ?? { units: 0n, reducedPico: 0n }
    const detail = share.reducedPico ? { ...line.detail, reducedPico: share.reducedPico.toString() } : line.detail
    return { ...line, detail, position: index + 1, amountCents: share.units * step }
  })

/** What only some lines have; lines of plain calls hash as they always did. */
const rarely = (line: InvoiceLine): (string | number | bigint | null)[] =>
  (line.kind === 'calls' && line.creditPico === 0n) || line.kind === 'carried' || line.kind === 'other'
    ? []
    : [line.kind, line.markupBp, line.basisPico, line.creditPico, line.quantityNano]

/** SHA-256 (hex) over every number of every line, in order; the words of a description may change between versions. */
export function hashLines(lines: InvoiceLine[]): string {
  const rows = lines.map((line) =>
    [
      line.lineKey,
      line.calls,
      line.inputTokens,
      line.outputTokens,
      line.tierPricePico,
      line.rawCostPico,
      line.exactPico,
      line.amountCents,
      ...rarely(line),
    ].join('|'),
  )
  return createHash('sha256').update(rows.join('\n')).digest('hex')
}

const size = (amount: bigint): bigint => (amount < 0n ? -amount : amount)

/** Keeps the largest lines, fees always; what is beyond the limit becomes one line, so the sum is unchanged (case 19). */
function collapseTail(lines: DraftLine[], maxLines: number, month: CalendarMonth): DraftLine[] {
  if (lines.length <= maxLines) return lines
  const bySize = [...lines].sort(
    (a, b) =>
      Number(b.kind === 'key_fee') - Number(a.kind === 'key_fee') ||
      compareBig(size(b.exactPico), size(a.exactPico)) ||
      compareText(a.lineKey, b.lineKey),
  )
  const kept = new Set(bySize.slice(0, maxLines - 1))
  const tail = lines.filter((line) => !kept.has(line))
  const description = `Other usage (${tail.length} smaller lines, detailed in your billing pages)`
  const other = { ...emptyLine('other', 'other', month, description), ...mixed }
  for (const line of tail) addLine(other, line)
  return [...lines.filter((line) => kept.has(line)), { ...other, quantityNano: null }]
}

const mixed = { chargeMode: 'mixed', tier: 'mixed', keySource: 'mixed' }

/** What earlier months left unbilled because it was too little; a mere residue (under a cent) is no line. */
function carriedLine(month: CalendarMonth, openingResiduePico: Pico, least: Pico): DraftLine[] {
  if (openingResiduePico < least) return []
  const description = 'Carried forward from earlier months (below the minimum charge)'
  const line = { ...emptyLine('carried', 'carried', shiftMonth(month, -1), description), ...mixed }
  return [{ ...line, chargeMode: 'carried', exactPico: openingResiduePico }]
}

interface Share {
  units: bigint
  /** What a credit took off this line before it was rounded. */
  reducedPico: Pico
}

/**
 * Units (cents) per line that sum to `total`: each line's exact amount rounded down, then the missing ones one by one to the
 * largest remainders, of lines that owe anything: what is free or a credit is billed no unit while another line is there. The opening residue can make the sum of the floors one too large: then the smallest remainder gives one
 * back. A credit (a negative line, or a negative opening) is first taken off the largest lines, for Stripe takes no negative
 * line together with automatic tax (stripe §2.5).
 */
function spread(lines: DraftLine[], total: bigint, openingPico: Pico, unit: Pico): Share[] {
  const exact = takeCredit(lines, openingPico <= -unit ? -openingPico : 0n)
  const units = exact.map((value) => value / unit)
  const order = lines
    .map((line, index) => ({
      ...{ index, lineKey: line.lineKey, owes: line.exactPico > 0n },
      remainder: (exact[index] ?? 0n) % unit,
    }))
    .sort(
      (a, b) =>
        compareBig(b.remainder, a.remainder) || Number(b.owes) - Number(a.owes) || compareText(a.lineKey, b.lineKey),
    )
  let missing = total - sum(units)
  for (let turn = 0; missing > 0n; turn++) {
    const next = order[turn % order.length]
    if (!next) break
    units[next.index] = (units[next.index] ?? 0n) + 1n
    missing -= 1n
  }
  for (const { index } of order.toReversed()) {
    if (missing < 0n && (units[index] ?? 0n) > 0n) {
      units[index] = (units[index] ?? 0n) - 1n
      missing += 1n
    }
  }
  return lines.map(({ exactPico }, index) => ({
    units: units[index] ?? 0n,
    reducedPico: (exactPico > 0n ? exactPico : 0n) - (exact[index] ?? 0n),
  }))
}

function takeCredit(lines: DraftLine[], openingCredit: Pico): Pico[] {
  const exact = lines.map((line) => (line.exactPico > 0n ? line.exactPico : 0n))
  let credit = openingCredit + sum(lines.map((line) => (line.exactPico < 0n ? -line.exactPico : 0n)))
  const largestFirst = exact
    .map((_, index) => index)
    .sort((a, b) => compareBig(exact[b] ?? 0n, exact[a] ?? 0n) || a - b)
  for (const index of largestFirst) {
    const value = exact[index] ?? 0n
    const taken = value < credit ? value : credit
    exact[index] = value - taken
    credit -= taken
  }
  return exact
}

const sum = (values: bigint[]): bigint => values.reduce((total, value) => total + value, 0n)
const compareBig = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)
