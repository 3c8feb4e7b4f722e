import { describe, expect, test } from 'vitest'
import { parseMonth, shiftMonth } from '#app/platform/calendar-month.ts'
import { PICO_PER_CENT, PICO_PER_USD, parsePico } from '#app/platform/pico.ts'
import { MAX_LINES, monthToCloseAt, type UsageBucket } from './billing.ts'
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
const sumOf = (values: bigint[]) => values.reduce((total, value) => total + value, 0n)

/** A small seeded generator: a failing case can be had again from its seed. */
function generator(seed: number) {
  let state = seed >>> 0 || 1
  return (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state % below
  }
}

describe('lines', () => {
  test('case 57: margin and tier price never share a line, nor do tiers, price book versions or late months', () => {
    const september = parseMonth('2026-09')
    const invoice = compute([
      bucket(),
      bucket({ calls: 4n }),
      bucket({ chargeMode: 'tier', keySource: 'platform' }),
      bucket({ tier: 'balanced' }),
      bucket({ priceBookVersion: 2 }),
      bucket({ usageMonth: september }),
    ])
    expect(invoice.lines.map((line) => [line.lineKey, line.calls, line.amountCents])).toEqual([
      ['2026-10/tier/frontier/platform/v1', 1n, 100n],
      ['2026-10/tier_margin/balanced/workspace/v1', 1n, 100n],
      ['2026-10/tier_margin/frontier/workspace/v1', 5n, 200n],
      ['2026-10/tier_margin/frontier/workspace/v2', 1n, 100n],
      ['2026-09/tier_margin/frontier/workspace/v1', 1n, 100n],
    ])
    expect(invoice.lines[4]?.description).toContain('September 2026, late usage')
    expect(invoice.lines[3]?.description).toContain('(prices v2)')
  })

  test('the order of the buckets changes nothing, not even the hash', () => {
    const buckets = Array.from({ length: 20 }, (_, index) =>
      bucket({ priceBookVersion: index % 7, chargePico: BigInt(index) * 3_333_333_333n }),
    )
    expect(compute(buckets.toReversed())).toEqual(compute(buckets))
  })

  test('case 19: more lines than the limit collapse into one tail with the same sum', () => {
    const buckets = Array.from({ length: 251 }, (_, index) =>
      bucket({ priceBookVersion: index, chargePico: BigInt(index + 1) * 7_777_777_777n }),
    )
    const invoice = compute(buckets)
    expect(invoice.lines).toHaveLength(MAX_LINES)
    expect(invoice.lines.at(-1)).toMatchObject({ lineKey: 'other', calls: 152n, priceBookVersion: null })
    expect(sumOf(invoice.lines.map((line) => line.exactPico))).toBe(invoice.exactPico)
    expect(sumOf(invoice.lines.map((line) => line.amountCents))).toBe(invoice.totalCents)
  })
})

describe('rounding happens once', () => {
  test('case 65: 81 lines of a half cent each cost what they cost together, not 81 roundings', () => {
    const buckets = Array.from({ length: 81 }, (_, index) =>
      bucket({ priceBookVersion: index, chargePico: usd('1.005') }),
    )
    const invoice = compute(buckets)
    expect(invoice.totalCents).toBe(8_140n)
    expect(sumOf(invoice.lines.map((line) => line.amountCents))).toBe(8_140n)
    expect(invoice.closingResiduePico).toBe(PICO_PER_CENT / 2n)
  })

  test('case 64: one million calls of $0.0000001 come to exactly ten cents', () => {
    const exact = sumOf(Array.from({ length: 1_000_000 }, () => usd('0.0000001')))
    const invoice = compute([bucket({ chargePico: exact, calls: 1_000_000n })], usd('1'))
    expect(invoice.exactPico).toBe(usd('0.1'))
    expect(invoice.totalCents).toBe(110n)
  })

  test('ties go by line key, and a residue against us takes a cent back from the smallest remainder', () => {
    const half = [bucket({ tier: 'b', chargePico: usd('1.005') }), bucket({ tier: 'a', chargePico: usd('1.005') })]
    expect(compute(half).lines.map((line) => [line.tier, line.amountCents])).toEqual([
      ['a', 101n],
      ['b', 100n],
    ])
    const whole = [bucket({ chargePico: usd('1.01') })]
    expect(compute(whole, -PICO_PER_CENT / 2n)).toMatchObject({
      totalCents: 100n,
      closingResiduePico: PICO_PER_CENT / 2n,
    })
    expect(compute(whole, -PICO_PER_CENT / 2n).lines[0]?.amountCents).toBe(100n)
  })

  test('a fraction of before goes onto a line that owes something, never onto a free one or a credit', () => {
    const free = bucket({ chargeMode: 'pass_through', chargePico: 0n })
    const correction = {
      reason: 're_rate' as const,
      usageMonth: shiftMonth(OCTOBER, -1),
      priceBookVersion: 1,
      calls: 1n,
    }
    const invoice = computeInvoice({
      ...{ month: OCTOBER, buckets: [free, bucket()], openingResiduePico: usd('0.007') },
      corrections: [{ ...correction, beforePico: usd('0.1'), afterPico: 0n }],
    })
    expect(invoice.totalCents).toBe(91n)
    expect(invoice.lines.filter((line) => line.exactPico <= 0n).map((line) => line.amountCents)).toEqual([0n, 0n])
  })

  test('whatever the usage: lines sum to the total, amounts are not negative, the residue is at most half a cent', () => {
    const random = generator(20_261_031)
    for (let round = 0; round < 2_000; round++) {
      const buckets = Array.from({ length: 1 + random(12) }, () =>
        bucket({ tier: `t${random(9)}`, chargePico: BigInt(random(4_000_000)) * BigInt(random(900_000)) }),
      )
      const opening = BigInt(random(10_000_000)) * 1_000n - PICO_PER_CENT / 2n
      const invoice = compute(buckets, opening)
      expect(sumOf(invoice.lines.map((line) => line.amountCents))).toBe(invoice.totalCents)
      expect(invoice.lines.every((line) => line.amountCents >= 0n)).toBe(true)
      expect(invoice.closingResiduePico).toBe(opening + invoice.exactPico - invoice.totalCents * PICO_PER_CENT)
      if (invoice.outcome !== 'carried') {
        const residue = invoice.closingResiduePico
        expect((residue < 0n ? -residue : residue) * 2n <= PICO_PER_CENT).toBe(true)
      }
      for (const line of invoice.outcome === 'bill' ? invoice.lines : []) {
        const drift = line.amountCents * PICO_PER_CENT - line.exactPico
        expect(drift <= 2n * PICO_PER_CENT && drift >= -2n * PICO_PER_CENT).toBe(true)
      }
    }
  })

  test('case 65: over 120 months what was billed never strays a cent from what was used', () => {
    const random = generator(7)
    let month = OCTOBER
    let residue = 0n
    let used = 0n
    let billed = 0n
    for (let i = 0; i < 120; i++) {
      const buckets = Array.from({ length: 5 }, (_, n) =>
        bucket({ usageMonth: month, tier: `t${n}`, chargePico: BigInt(random(2_000_000_000)) * 7_001n }),
      )
      const invoice = compute(buckets, residue, month)
      used += invoice.exactPico
      billed += invoice.totalCents * PICO_PER_CENT
      residue = invoice.closingResiduePico
      expect(used - billed).toBe(residue)
      month = shiftMonth(month, 1)
    }
    expect(residue < PICO_PER_CENT && residue > -PICO_PER_CENT).toBe(true)
  })
})

describe('outcomes', () => {
  test('case 20: nothing owed makes no Stripe invoice, but the calls stay on the statement', () => {
    const invoice = compute([bucket({ chargePico: 0n, rawCostPico: usd('3'), calls: 9n })])
    expect(invoice).toMatchObject({ outcome: 'done_zero', totalCents: 0n, closingResiduePico: 0n, calls: 9n })
    expect(invoice.lines).toHaveLength(1)
  })

  test('case 21: twelve months of 30 cents bill $3.60 in all and never more than once', () => {
    let month = OCTOBER
    let residue = 0n
    const billed: bigint[] = []
    for (let i = 0; i < 12; i++) {
      const invoice = compute([bucket({ usageMonth: month, chargePico: usd('0.30') })], residue, month)
      expect(invoice.outcome).toBe(i % 2 === 0 ? 'carried' : 'bill')
      expect(sumOf(invoice.lines.map((line) => line.amountCents))).toBe(invoice.totalCents)
      if (invoice.outcome === 'bill')
        expect(invoice.lines.at(-1)).toMatchObject({ lineKey: 'carried', amountCents: 30n, calls: 0n })
      billed.push(invoice.totalCents)
      residue = invoice.closingResiduePico
      month = shiftMonth(month, 1)
    }
    expect(sumOf(billed)).toBe(360n)
    expect(residue).toBe(0n)
  })

  test('case 22: a credit larger than the usage is carried, and later comes off the lines, never as a negative one', () => {
    const first = compute([bucket({ chargePico: usd('1') })], -usd('5'))
    expect(first).toMatchObject({ outcome: 'carried', totalCents: 0n, closingResiduePico: -usd('4') })
    const next = compute(
      [bucket({ chargePico: usd('3') }), bucket({ tier: 'balanced', chargePico: usd('2.5') })],
      first.closingResiduePico,
    )
    expect(next).toMatchObject({ outcome: 'bill', totalCents: 150n, closingResiduePico: 0n })
    expect(next.lines.map((line) => line.amountCents).toSorted()).toEqual([0n, 150n])
  })

  test('exactly the minimum is billed, one cent less is carried', () => {
    expect(compute([bucket({ chargePico: usd('0.50') })]).outcome).toBe('bill')
    expect(compute([bucket({ chargePico: usd('0.49') })]).outcome).toBe('carried')
    expect(compute([bucket({ chargePico: usd('0.495') })]).outcome).toBe('bill')
  })

  test('a month without usage keeps the residue and owes nothing', () => {
    expect(compute([], -3n)).toMatchObject({ outcome: 'done_zero', totalCents: 0n, closingResiduePico: -3n, lines: [] })
  })
})

describe('what was carried', () => {
  test('is one of the hundred lines, not one more', () => {
    const many = Array.from({ length: MAX_LINES + 20 }, (_, index) => bucket({ priceBookVersion: index + 1 }))
    const invoice = compute(many, usd('0.3'))
    expect(invoice.lines).toHaveLength(MAX_LINES)
    expect(invoice.lines.at(-1)).toMatchObject({ kind: 'carried', amountCents: 30n })
    expect(sumOf(invoice.lines.map((line) => line.amountCents))).toBe(invoice.totalCents)
  })

  test('is billed on leaving by a line of its own, however little it is', () => {
    const input = { month: OCTOBER, buckets: [], leaving: true }
    const cents = computeInvoice({ ...input, openingResiduePico: usd('0.007') })
    expect(cents).toMatchObject({ outcome: 'bill', totalCents: 1n, lines: [{ kind: 'carried', amountCents: 1n }] })
    const yen = computeInvoice({ ...input, currency: 'jpy', openingResiduePico: usd('0.6') })
    expect(yen).toMatchObject({ outcome: 'bill', totalCents: 1n, lines: [{ kind: 'carried', amountCents: 1n }] })
  })
})

describe('which month may be closed', () => {
  test('only one that ended longer than the grace ago, whatever day the tick falls on', () => {
    const at = (text: string) => monthToCloseAt(new Date(text))
    expect(at('2026-11-02T23:59:59Z')).toBe('2026-09')
    expect(at('2026-11-03T00:00:00Z')).toBe('2026-10')
    expect(at('2026-11-30T00:00:00Z')).toBe('2026-10')
    expect(at('2027-01-03T00:00:00Z')).toBe('2026-12')
    expect(PICO_PER_USD).toBe(100n * PICO_PER_CENT)
  })
})
