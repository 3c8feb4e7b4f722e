import { describe, expect, test } from 'vitest'
import { parseMonth, shiftMonth } from '#app/platform/calendar-month.ts'
import { parsePico } from '#app/platform/pico.ts'
import type { CorrectionBucket, UsageBucket } from './billing.ts'
import { computeInvoice } from './compute-invoice.ts'

const OCTOBER = parseMonth('2026-10')
const usd = (text: string) => parsePico(text) ?? 0n

function bucket(change: Partial<UsageBucket> = {}): UsageBucket {
  return {
    chargeMode: 'tier_margin',
    tier: 'frontier',
    keySource: 'workspace',
    usageMonth: OCTOBER,
    priceBookVersion: 1,
    calls: 1n,
    inputTokens: 1_000n,
    outputTokens: 100n,
    tierPricePico: usd('2'),
    rawCostPico: usd('1'),
    chargePico: usd('1'),
    markupBp: 0,
    basisPico: 0n,
    creditPico: 0n,
    ...change,
  }
}

const compute = (buckets: UsageBucket[], openingResiduePico = 0n, month = OCTOBER) =>
  computeInvoice({ month, buckets, openingResiduePico })

describe('lines that are no calls at a tier price', () => {
  const NOVEMBER = shiftMonth(OCTOBER, 1)
  const correction = (beforePico: bigint, afterPico: bigint): CorrectionBucket => ({
    ...{ reason: 're_rate', usageMonth: OCTOBER, priceBookVersion: 3, calls: 2n },
    ...{ beforePico, afterPico },
  })
  const withCorrection = (chargePico: bigint, one: CorrectionBucket) =>
    computeInvoice({
      month: NOVEMBER,
      buckets: [bucket({ usageMonth: NOVEMBER, chargePico })],
      corrections: [one],
      openingResiduePico: 0n,
    })

  test('a markup says its share and the sum that it was taken of, and never mixes two shares', () => {
    const share = { chargeMode: 'markup', tier: 'none', rawCostPico: usd('100'), basisPico: usd('100') }
    const invoice = compute([
      bucket({ ...share, markupBp: 500, chargePico: usd('5') }),
      bucket({ ...share, markupBp: 25, chargePico: usd('0.25') }),
      bucket({ ...share, keySource: 'platform', markupBp: 10_000, chargePico: usd('100') }),
    ])
    expect(invoice.lines.map((line) => [line.description, line.amountCents])).toEqual([
      ['Models on the platform key: at cost, October 2026', 10_000n],
      ['Models on your own key: 0.25% of a cost of $100.00, October 2026', 25n],
      ['Models on your own key: 5% of a cost of $100.00, October 2026', 500n],
    ])
  })

  test('what credits paid is a line of $0 that says how much it was', () => {
    const [line] = compute([
      bucket({ chargeMode: 'credits', keySource: 'platform', chargePico: 0n, creditPico: usd('12.5') }),
    ]).lines
    expect(line).toMatchObject({ amountCents: 0n, creditPico: usd('12.5') })
    expect(line?.description).toBe(
      'Frontier models on the platform key: $12.50 drawn from credits, nothing owed here, October 2026',
    )
  })

  test('a meter is billed by its quantity, beside the calls', () => {
    const meter = { meter: 'sandbox_seconds', name: 'Sandboxes', unit: 'second', unitUsd: '0.0000125', events: 3n }
    const bucketOf = { ...meter, usageMonth: OCTOBER, priceBookVersion: 1, quantityNano: 80_000_500_000_000n }
    const invoice = computeInvoice({
      month: OCTOBER,
      buckets: [bucket()],
      meters: [{ ...bucketOf, creditPico: 0n, chargePico: usd('1.00000625') }],
      openingResiduePico: 0n,
    })
    expect(invoice.lines[1]).toMatchObject({ kind: 'usage', amountCents: 100n, quantityNano: 80_000_500_000_000n })
    expect(invoice.lines[1]?.description).toBe('Sandboxes: 80,000.5 × $0.0000125 per second, October 2026')
    expect(invoice.exactPico).toBe(usd('2.00000625'))
  })

  test('case 63: what a provider corrects later is a line of its own in the open month; the closed one stays', () => {
    const more = withCorrection(usd('2'), correction(usd('1'), usd('1.75')))
    expect(more.lines.map((line) => [line.kind, line.amountCents])).toEqual([
      ['calls', 200n],
      ['correction', 75n],
    ])
    expect(more.lines[1]?.description).toBe(
      'Correction 2026-10: re-priced (prices v3), $1.00 charged before, $1.75 owed',
    )
  })

  test('case 22: a negative correction comes off the other lines; more than they come to is carried as a credit', () => {
    const less = withCorrection(usd('2'), correction(usd('1.5'), usd('0.25')))
    expect(less.lines.map((line) => [line.exactPico, line.amountCents])).toEqual([
      [usd('2'), 75n],
      [-usd('1.25'), 0n],
    ])
    expect(less.lines[0]?.detail).toEqual({ reducedPico: usd('1.25').toString() })
    expect(less).toMatchObject({ outcome: 'bill', totalCents: 75n, exactPico: usd('0.75') })
    const negative = withCorrection(usd('1'), correction(usd('9'), usd('2')))
    expect(negative).toMatchObject({ outcome: 'carried', totalCents: 0n, closingResiduePico: -usd('6') })
  })

  test('case 82: three old months that come late are lines of their own on one invoice', () => {
    const late = ['2026-07', '2026-08', '2026-09'].map((month) => bucket({ usageMonth: parseMonth(month) }))
    const { lines } = compute([bucket(), ...late])
    expect(lines.map((line) => [line.usageMonth, line.amountCents])).toEqual([
      ['2026-10', 100n],
      ['2026-07', 100n],
      ['2026-08', 100n],
      ['2026-09', 100n],
    ])
    expect(lines.filter((line) => line.description.includes('late usage'))).toHaveLength(3)
  })

  test('a workspace that leaves is billed what would have been carried', () => {
    const leaving = (openingResiduePico: bigint) =>
      computeInvoice({ month: OCTOBER, buckets: [], openingResiduePico, leaving: true })
    expect(leaving(usd('0.30'))).toMatchObject({ outcome: 'bill', totalCents: 30n, closingResiduePico: 0n })
    expect(leaving(usd('0.004'))).toMatchObject({ outcome: 'done_zero', totalCents: 0n, lines: [] })
    expect(leaving(-usd('0.30'))).toMatchObject({ outcome: 'carried', totalCents: 0n })
  })
})

describe('currencies', () => {
  const inCurrency = (currency: string, chargePico: bigint) =>
    computeInvoice({
      month: OCTOBER,
      currency,
      buckets: [bucket({ chargeMode: 'tier', chargePico })],
      openingResiduePico: 0n,
    })

  test('case 66: yen are billed in whole yen, not in hundredths', () => {
    expect(inCurrency('jpy', usd('1234.5'))).toMatchObject({ totalCents: 1_234n, closingResiduePico: usd('0.5') })
    expect(inCurrency('jpy', usd('49'))).toMatchObject({ outcome: 'carried' })
  })

  test('Ugandan shillings and krónur are billed whole, in the hundredths that Stripe wants', () => {
    for (const currency of ['ugx', 'isk'])
      expect(inCurrency(currency, usd('1234.5'))).toMatchObject({
        totalCents: 123_400n,
        closingResiduePico: usd('0.5'),
      })
  })

  test('dinars are billed in thousandths, in tens of them as Stripe takes them', () => {
    expect(inCurrency('kwd', usd('12.3456'))).toMatchObject({ totalCents: 12_350n, closingResiduePico: -usd('0.0044') })
  })
})
