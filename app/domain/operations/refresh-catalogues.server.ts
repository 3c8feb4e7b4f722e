import { storePriceList } from '#app/domain/pricing/store-price-list.server.ts'
import { fetchCatalogue } from '#app/domain/providers/list-models.server.ts'
import { type ProviderId, providerIds } from '#app/domain/providers/provider.ts'
import { log } from '#app/platform/log.server.ts'

/**
 * Fetches the price lists that providers publish. One that cannot be had now keeps its last list; the rows used stand in
 * each call, so a later list changes nothing of the past.
 * @returns models with a price, by provider
 */
export async function refreshCatalogues(now: Date): Promise<Partial<Record<ProviderId, number>>> {
  const counts: Partial<Record<ProviderId, number>> = {}
  for (const provider of providerIds) {
    try {
      const listed = await fetchCatalogue(provider)
      const count = listed === null ? 0 : await storePriceList(provider, listed, now)
      if (count > 0) counts[provider] = count
    } catch (error) {
      log.warn({ provider, reason: (error as Error).message }, 'a price list could not be refreshed')
    }
  }
  return counts
}
