import { describe, expect, test } from 'vitest'
import { parseAtto, parsePico } from '#app/platform/pico.ts'
import type { PriceBook } from './pricing.ts'
import { meterAmountPico, type PricedCall, rateAgain, replaces } from './rate-again.ts'

const usd = (text: string) => parsePico(text) ?? 0n
const book: PriceBook = {
  version: 2,
  workspaceId: null,
  currency: 'usd',
  effectiveFrom: new Date(0),
  effectiveUntil: null,
  tiers: { balanced: { inputAtto: parseAtto('0.000002'), outputAtto: parseAtto('0.00001') } },
  meters: {},
}
const call = (change: Partial<PricedCall> = {}): PricedCall => ({
  ...{ tier: 'balanced', chargeMode: 'tier_margin', inputTokens: 1_000n, outputTokens: 100n },
  ...{ cacheReadTokens: null, cacheWriteTokens: null, rawCostPico: usd('0.001') },
  ...change,
})

describe('rating again', () => {
  test('case 54: a cost above the new tier price is charged 0, never less', () => {
    expect(rateAgain(book, call({ rawCostPico: usd('5') }))).toMatchObject({ chargePico: 0n })
  })

  test('case 55: a cost equal to the tier price is charged 0, and a missing cost nothing at all', () => {
    expect(rateAgain(book, call({ rawCostPico: usd('0.003') }))).toMatchObject({ chargePico: 0n })
    expect(rateAgain(book, call({ rawCostPico: null }))).toMatchObject({ chargePico: null })
  })

  test('each mode by its own rule, and modes that know no price book are left alone', () => {
    expect(rateAgain(book, call())).toMatchObject({ tierPricePico: usd('0.003'), chargePico: usd('0.002') })
    expect(rateAgain(book, call({ chargeMode: 'tier' }))).toMatchObject({ chargePico: usd('0.003'), creditPico: 0n })
    expect(rateAgain(book, call({ chargeMode: 'credits' }))).toMatchObject({ chargePico: 0n, creditPico: usd('0.003') })
    for (const chargeMode of ['markup', 'flat_fee', 'pass_through'])
      expect(rateAgain(book, call({ chargeMode }))).toBeNull()
    expect(rateAgain(book, call({ tier: 'frontier' }))).toBeNull()
  })

  test('a meter is priced exactly and rounded once, half to even', () => {
    expect(meterAmountPico(parseAtto('0.0000125'), 80_000_500_000_000n)).toBe(usd('1.00000625'))
    expect(meterAmountPico(1n, 500_000_000_000_000n)).toBe(0n)
    expect(meterAmountPico(3n, 500_000_000_000_000n)).toBe(2n)
  })

  test('a workspace’s own prices stay before general ones, and no currency prices another', () => {
    const of = (workspaceId: string | null, currency = 'usd') => ({ workspaceId, currency })
    expect(replaces(of(null), of(null), 'a')).toBe(true)
    expect(replaces(of(null), of('a'), 'a')).toBe(false)
    expect(replaces(of('a'), of(null), 'a')).toBe(true)
    expect(replaces(of('a'), of(null), 'b')).toBe(false)
    expect(replaces(of(null, 'eur'), of(null), 'a')).toBe(false)
  })
})
