import { describe, expect, it } from 'vitest'
import type { PriceStanding } from '#app/domain/pricing/price-standing.ts'
import { standingWords } from './catalogue-view.ts'

const day = (text: string) => new Date(`${text}T00:00:00Z`)
const price = { inputAtto: 1n, outputAtto: 1n }
const now = day('2026-11-21')
const holds = (tier: 'frontier' | 'balanced', version: number, until: Date | null = null): PriceStanding => ({
  of: { tier },
  version,
  until,
})
const book = (over: Partial<Parameters<typeof standingWords>[0]>) => ({
  ...{ version: 1, workspaceId: null, workspaceName: null, currency: 'usd', meters: {} },
  ...{ effectiveFrom: day('2026-01-01'), effectiveUntil: null, tiers: { frontier: price, balanced: price } },
  standing: [holds('frontier', 1), holds('balanced', 1)],
  ...over,
})

describe('a price book in the catalogue', () => {
  it('says whose calls it prices, since when and until when', () =>
    expect(standingWords(book({}), now)).toEqual([
      'Prices Frontier and Balanced since 1 Jan 2026, 00:00 UTC and until a later version prices it, for every workspace that is billed in USD and has no price of its own.',
    ]))
  it('says which version holds in place of what it does not price any more', () => {
    const standing = [holds('frontier', 2, day('2026-12-01')), holds('balanced', 1)]
    expect(standingWords(book({ standing }), now)).toEqual([
      'Frontier: version 2 holds in its place, until 1 Dec 2026, 00:00 UTC.',
      expect.stringMatching(/^Prices Balanced since/),
    ])
  })
  it('names the workspace whose own it is, and a time that is not come or over', () => {
    const own = { workspaceId: 'w', workspaceName: 'Acme', currency: 'eur' }
    expect(standingWords(book({ ...own, effectiveFrom: day('2026-12-01') }), now)).toEqual([
      'Begins 1 Dec 2026, 00:00 UTC, for Acme (EUR), before the general prices.',
    ])
    expect(standingWords(book({ effectiveUntil: day('2026-11-01') }), now)).toEqual([
      'Over since 1 Nov 2026, 00:00 UTC: it prices no new call.',
    ])
  })
})
