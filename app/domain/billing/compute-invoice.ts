/**
 * The invoice of a month, as a pure function of what the month's calls come to. Preview, dry run and the real run are
 * this function, so what was shown is what is billed (stripe §2.4, §4 cases 21, 54–57, 64, 65, 79).
 */
import { createHash } from 'node:crypto'
import { isTier, tierNames } from '#app/domain/pricing/pricing.ts'
import { type CalendarMonth, monthName, shiftMonth } from '#app/platform/calendar-month.ts'
import { divideHalfEven, PICO_PER_CENT, type Pico } from '#app/platform/pico.ts'
import {
  type ComputedInvoice,
  type InvoiceLine,
  type InvoiceOutcome,
  MAX_LINES,
  MINIMUM_CHARGE_CENTS,
  type UsageBucket,
} from './billing.ts'

export interface ComputeInvoiceInput {
  month: CalendarMonth
  buckets: UsageBucket[]
  /** Closing residue of the workspace's last run, 0 for its first. */
  openingResiduePico: Pico
  /** Default 100. */
  maxLines?: number
}

type Draft = Omit<InvoiceLine, 'position' | 'amountCents'>

/**
 * Sums buckets into lines, rounds the whole once to cents (half to even) and spreads the total over the lines by largest
 * remainder, ties by line key. The fraction of a cent that is left opens the next month. Less than Stripe's minimum is
 * carried whole; so is a credit. Nothing is re-priced here: every charge was fixed when its call was settled.
 */
export function computeInvoice({
  month,
  buckets,
  openingResiduePico,
  maxLines = MAX_LINES,
}: ComputeInvoiceInput): ComputedInvoice {
  const drafts = collapseTail(draftLines(month, buckets), maxLines, month)
  const exactPico = sum(buckets.map((bucket) => bucket.chargePico))
  const owedPico = openingResiduePico + exactPico
  const roundedCents = divideHalfEven(owedPico, PICO_PER_CENT)
  const outcome: InvoiceOutcome =
    roundedCents === 0n ? 'done_zero' : roundedCents < MINIMUM_CHARGE_CENTS ? 'carried' : 'bill'
  const totalCents = outcome === 'bill' ? roundedCents : 0n
  const carried = outcome === 'bill' ? carriedLine(month, openingResiduePico) : undefined
  const all = carried ? [...drafts, carried] : drafts
  const amounts = outcome === 'bill' ? spread(all, totalCents, carried ? 0n : openingResiduePico) : all.map(() => 0n)
  const lines = all.map((line, index) => ({ ...line, position: index + 1, amountCents: amounts[index] ?? 0n }))
  return {
    month,
    outcome,
    lines,
    calls: sum(buckets.map((bucket) => bucket.calls)),
    openingResiduePico,
    exactPico,
    totalCents,
    closingResiduePico: owedPico - totalCents * PICO_PER_CENT,
    linesHash: hashLines(lines),
  }
}

/** SHA-256 (hex) over every number of every line, in order; the words of a description may change between versions. */
function hashLines(lines: InvoiceLine[]): string {
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
    ].join('|'),
  )
  return createHash('sha256').update(rows.join('\n')).digest('hex')
}

function lineKeyOf(
  bucket: Pick<UsageBucket, 'chargeMode' | 'tier' | 'keySource' | 'usageMonth' | 'priceBookVersion'>,
): string {
  return `${bucket.usageMonth}/${bucket.chargeMode}/${bucket.tier}/${bucket.keySource}/v${bucket.priceBookVersion}`
}

/** One line per line key: the invoice's own month first, then late months; a margin never shares a line with a tier price. */
function draftLines(month: CalendarMonth, buckets: UsageBucket[]): Draft[] {
  const byKey = new Map<string, Draft>()
  const versions = new Set(buckets.map((bucket) => bucket.priceBookVersion))
  for (const bucket of buckets) {
    const lineKey = lineKeyOf(bucket)
    const line = byKey.get(lineKey)
    if (line) addTo(line, bucket)
    else {
      const { chargePico, ...rest } = bucket
      byKey.set(lineKey, {
        ...rest,
        lineKey,
        exactPico: chargePico,
        description: describe(month, bucket, versions.size > 1),
      })
    }
  }
  const late = (line: Draft) => (line.usageMonth === month ? 0 : 1)
  return [...byKey.values()].sort((a, b) => late(a) - late(b) || compareText(a.lineKey, b.lineKey))
}

function addTo(line: Draft, more: UsageBucket | Draft): void {
  line.calls += more.calls
  line.inputTokens += more.inputTokens
  line.outputTokens += more.outputTokens
  line.tierPricePico += more.tierPricePico
  line.rawCostPico += more.rawCostPico
  line.exactPico += 'exactPico' in more ? more.exactPico : more.chargePico
}

function describe(month: CalendarMonth, bucket: UsageBucket, severalVersions: boolean): string {
  const tier = isTier(bucket.tier) ? tierNames[bucket.tier] : bucket.tier
  const what =
    bucket.chargeMode === 'pass_through'
      ? 'Models on your own key: paid to the provider directly, nothing owed here'
      : bucket.chargeMode === 'tier_margin'
        ? `${tier} models on your own key: tier price less provider cost, never below zero per call`
        : `${tier} models on the platform key: tier price per token`
  const late = bucket.usageMonth === month ? '' : ', late usage'
  const version = severalVersions ? ` (prices v${bucket.priceBookVersion})` : ''
  return `${what}, ${monthName(bucket.usageMonth)}${late}${version}`
}

/** Keeps the largest lines; what is beyond the limit becomes one line, so the sum is unchanged (case 19). */
function collapseTail(lines: Draft[], maxLines: number, month: CalendarMonth): Draft[] {
  if (lines.length <= maxLines) return lines
  const bySize = [...lines].sort((a, b) => compareBig(b.exactPico, a.exactPico) || compareText(a.lineKey, b.lineKey))
  const kept = new Set(bySize.slice(0, maxLines - 1))
  const tail = lines.filter((line) => !kept.has(line))
  const description = `Other usage (${tail.length} smaller lines, detailed in your billing pages)`
  const other: Draft = {
    ...emptyLine('other', month, description),
    chargeMode: 'mixed',
  }
  for (const line of tail) addTo(other, line)
  return [...lines.filter((line) => kept.has(line)), other]
}

/** What earlier months left unbilled because it was too little; a mere residue (under a cent) is no line. */
function carriedLine(month: CalendarMonth, openingResiduePico: Pico): Draft | undefined {
  if (openingResiduePico < PICO_PER_CENT) return undefined
  const line = emptyLine(
    'carried',
    shiftMonth(month, -1),
    'Carried forward from earlier months (below the minimum charge)',
  )
  return { ...line, chargeMode: 'carried', exactPico: openingResiduePico }
}

function emptyLine(lineKey: string, usageMonth: CalendarMonth, description: string): Draft {
  const zeros = { calls: 0n, inputTokens: 0n, outputTokens: 0n, tierPricePico: 0n, rawCostPico: 0n, exactPico: 0n }
  return {
    lineKey,
    chargeMode: '',
    tier: 'mixed',
    keySource: 'mixed',
    usageMonth,
    priceBookVersion: null,
    description,
    ...zeros,
  }
}

/**
 * Cents per line that sum to `totalCents`: each line's exact amount rounded down, then the missing cents one by one to the
 * largest remainders. The opening residue can make the sum of the floors one cent too large: then the smallest remainder
 * gives one back. A credit (negative opening) is first taken off the largest lines, for Stripe takes no negative line
 * together with automatic tax (stripe §2.5).
 */
function spread(lines: Draft[], totalCents: bigint, openingPico: Pico): bigint[] {
  const exact = takeCredit(lines, openingPico)
  const amounts = exact.map((value) => value / PICO_PER_CENT)
  const order = lines
    .map((line, index) => ({ index, lineKey: line.lineKey, remainder: (exact[index] ?? 0n) % PICO_PER_CENT }))
    .sort((a, b) => compareBig(b.remainder, a.remainder) || compareText(a.lineKey, b.lineKey))
  let missing = totalCents - sum(amounts)
  for (let turn = 0; missing > 0n; turn++) {
    const next = order[turn % order.length]
    if (!next) break
    amounts[next.index] = (amounts[next.index] ?? 0n) + 1n
    missing -= 1n
  }
  for (const { index } of order.toReversed()) {
    if (missing < 0n && (amounts[index] ?? 0n) > 0n) {
      amounts[index] = (amounts[index] ?? 0n) - 1n
      missing += 1n
    }
  }
  return amounts
}

function takeCredit(lines: Draft[], openingPico: Pico): Pico[] {
  const exact = lines.map((line) => line.exactPico)
  if (openingPico > -PICO_PER_CENT) return exact
  let credit = -openingPico
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
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
