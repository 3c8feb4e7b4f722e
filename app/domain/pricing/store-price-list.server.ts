import { inSystem } from '#app/platform/db.server.ts'
import { parseAtto } from '#app/platform/pico.ts'
import { forgetPriceLists } from './find-price.server.ts'
import type { ListedPrices } from './raw-prices.ts'

interface PricedModel {
  id: string
  prices?: ListedPrices
}

/** A list may be wrong in places; a row that cannot be read is left out, not guessed. */
function isExact({ prices }: PricedModel): boolean {
  if (!prices) return false
  const { overrides = [], ...base } = prices
  try {
    for (const row of [base, ...overrides.map((override) => override.prices)])
      for (const text of Object.values(row)) parseAtto(text)
    return true
  } catch {
    return false
  }
}

/**
 * Keeps a provider's own price list in place of the one before. An empty list is a fault of the provider's, and would make
 * every model unpriced: the last good one stays.
 * @returns models with a price
 */
export async function storePriceList(provider: string, listed: readonly PricedModel[], now: Date): Promise<number> {
  const models = Object.fromEntries(listed.filter(isExact).map(({ id, prices }) => [id, prices]))
  const count = Object.keys(models).length
  if (count === 0) return 0
  const row = { models: JSON.parse(JSON.stringify(models)), fetchedAt: now }
  await inSystem((tx) =>
    tx.providerCatalogue.upsert({ where: { provider }, create: { provider, ...row }, update: row }),
  )
  forgetPriceLists()
  return count
}
