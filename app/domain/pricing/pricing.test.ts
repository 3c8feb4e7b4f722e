import { describe, expect, it } from 'vitest'
import { parseAtto } from '#app/platform/pico.ts'
import { chargePico, type PriceBook, priceBookAt, tierPricePico } from './pricing.ts'

const book = (version: number, from: string, inputUsd = '0.000003', outputUsd = '0.000015'): PriceBook => ({
  version,
  workspaceId: null,
  currency: 'usd',
  effectiveFrom: new Date(from),
  effectiveUntil: null,
  meters: {},
  tiers: { balanced: { inputAtto: parseAtto(inputUsd), outputAtto: parseAtto(outputUsd) } },
})

describe('tier price', () => {
  it('is exact: 374 in and 44 out at $3 / $15 per million', () => {
    expect(tierPricePico(book(1, '2026-01-01'), 'balanced', { inputTokens: 374n, outputTokens: 44n })).toBe(
      1_782_000_000n,
    )
  })
  it('adds up a million tiny calls without drift', () => {
    const one = tierPricePico(book(1, '2026-01-01', '0.0000001', '0'), 'balanced', {
      inputTokens: 1n,
      outputTokens: 0n,
    })
    expect(one * 1_000_000n).toBe(100_000_000_000n)
  })
  it('refuses a tier without a price', () => {
    expect(() => tierPricePico(book(1, '2026-01-01'), 'frontier', { inputTokens: 1n, outputTokens: 1n })).toThrow(
      /no price for tier frontier/,
    )
  })
  it('is rated by the version in force at dispatch', () => {
    const books = [book(1, '2026-01-01'), book(2, '2026-10-15')]
    expect(priceBookAt(books, new Date('2026-10-14T23:59:59.999Z'))?.version).toBe(1)
    expect(priceBookAt(books, new Date('2026-10-15T00:00:00.000Z'))?.version).toBe(2)
    expect(priceBookAt(books, new Date('2025-12-31'))).toBeUndefined()
  })
})

describe('charge', () => {
  const margin = (tier: bigint, raw: bigint | null) =>
    chargePico({ chargeMode: 'tier_margin', tierPricePico: tier, rawCostPico: raw })
  it('is tier price minus raw cost, never below zero', () => {
    expect(margin(10n, 4n)).toBe(6n)
    expect(margin(10n, 10n)).toBe(0n)
    expect(margin(10n, 11n)).toBe(0n)
  })
  it('holds a call whose raw cost is unknown, and takes an explicit zero as zero', () => {
    expect(margin(10n, null)).toBeNull()
    expect(margin(10n, 0n)).toBe(10n)
  })
  it('is the whole tier price when the platform key paid', () => {
    expect(chargePico({ chargeMode: 'tier', tierPricePico: 10n, rawCostPico: null })).toBe(10n)
  })
})
