import { describe, expect, it } from 'vitest'
import { standingOf } from './price-standing.ts'
import type { PriceBook } from './pricing.ts'

const day = (text: string) => new Date(`${text}T00:00:00Z`)
const price = { inputAtto: 1n, outputAtto: 1n }
const seconds = { name: 'Compute', unit: 'second', unitAtto: 1n }
const book = (version: number, from: string, over: Partial<PriceBook> = {}): PriceBook => ({
  ...{ version, workspaceId: null, currency: 'usd', effectiveFrom: day(from), effectiveUntil: null },
  ...{ tiers: {}, meters: {} },
  ...over,
})
const now = day('2026-11-21')
const [tier] = ['frontier' as const]
const opening = book(1, '2020-01-01', { tiers: { frontier: price, balanced: price } })
const metered = book(2, '2020-02-01', { meters: { seconds } })

describe('how the prices of a book stand', () => {
  it('stands beside books that price something else', () => {
    const books = [opening, metered]
    expect(standingOf(opening, books, now)).toMatchObject([
      { of: { tier }, version: 1, until: null },
      { of: { tier: 'balanced' }, version: 1 },
    ])
    expect(standingOf(metered, books, now)).toEqual([{ of: { meter: 'seconds' }, version: 2, until: null }])
  })

  it('is replaced only in what a newer one names', () => {
    const newer = book(3, '2026-01-01', { tiers: { frontier: price } })
    expect(standingOf(opening, [opening, newer], now)).toMatchObject([{ version: 3 }, { version: 1 }])
  })

  it('ends where a later version begins, or by its own end', () => {
    const next = book(3, '2026-12-01', { tiers: { frontier: price } })
    expect(standingOf(opening, [opening, next], now)[0]).toMatchObject({ version: 1, until: day('2026-12-01') })
    const sale = book(4, '2026-11-01', { tiers: { frontier: price }, effectiveUntil: day('2026-11-30') })
    expect(standingOf(opening, [opening, sale], now)[0]).toMatchObject({ version: 4, until: day('2026-11-30') })
    expect(standingOf(sale, [opening, sale], day('2026-12-24'))[0]).toMatchObject({ version: 1, until: null })
  })

  it('of a workspace’s own holds before the general ones, for that workspace alone and in its currency', () => {
    const own = book(5, '2026-01-01', { workspaceId: 'w1', tiers: { frontier: price } })
    const euro = book(6, '2026-10-01', { currency: 'eur', tiers: { frontier: price } })
    const general = book(7, '2026-11-01', { tiers: { frontier: price } })
    const books = [opening, own, euro, general]
    expect(standingOf(own, books, now)).toMatchObject([{ version: 5, until: null }])
    expect(standingOf(opening, books, now)[0]).toMatchObject({ version: 7 })
    expect(standingOf(euro, books, now)).toMatchObject([{ version: 6 }])
  })
})
