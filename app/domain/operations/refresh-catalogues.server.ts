import { forgetPriceLists } from '#app/domain/pricing/find-price.server.ts'
import { fetchCatalogue } from '#app/domain/providers/list-models.server.ts'
import { type ProviderId, providerIds } from '#app/domain/providers/provider.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { log } from '#app/platform/log.server.ts'
import { parseAtto } from '#app/platform/pico.ts'

type Listed = NonNullable<Awaited<ReturnType<typeof fetchCatalogue>>>[number]

/** A list may be wrong in places; a row that cannot be read is left out, not guessed. */
function isExact({ prices }: Listed): boolean {
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

async function refresh(provider: ProviderId, now: Date): Promise<number> {
  const listed = await fetchCatalogue(provider)
  if (listed === null) return 0
  const models = Object.fromEntries(listed.filter(isExact).map(({ id, prices }) => [id, prices]))
  const count = Object.keys(models).length
  // An empty list is a fault of the provider's, and would make every model unpriced: the last good one stays.
  if (count === 0) return 0
  const row = { models: JSON.parse(JSON.stringify(models)), fetchedAt: now }
  await inSystem((tx) =>
    tx.providerCatalogue.upsert({ where: { provider }, create: { provider, ...row }, update: row }),
  )
  return count
}

/**
 * Fetches the price lists that providers publish. One that cannot be had now keeps its last list; the rows used stand in
 * each call, so a later list changes nothing of the past.
 * @returns models with a price, by provider
 */
export async function refreshCatalogues(now: Date): Promise<Partial<Record<ProviderId, number>>> {
  const counts: Partial<Record<ProviderId, number>> = {}
  for (const provider of providerIds) {
    try {
      const count = await refresh(provider, now)
      if (count > 0) counts[provider] = count
    } catch (error) {
      log.warn({ provider, reason: (error as Error).message }, 'a price list could not be refreshed')
    }
  }
  forgetPriceLists()
  return counts
}
