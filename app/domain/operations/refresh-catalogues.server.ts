import { forgetCatalogue } from '#app/domain/pricing/queries.server.ts'
import { storePriceList } from '#app/domain/pricing/store-price-list.server.ts'
import { fetchCatalogue } from '#app/domain/providers/list-models.server.ts'
import type { ListedModel } from '#app/domain/providers/listed-model.ts'
import { type ProviderId, providerIds } from '#app/domain/providers/provider.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { log } from '#app/platform/log.server.ts'

/** Whose models the platform's key serves: what it says of their longest answers holds for the catalogue's. */
const hostedAt: ProviderId = 'openrouter'

/** Notes how long an answer of each model of the catalogue can be: what a call that names no limit may come to. */
async function noteLongestAnswers(listed: readonly ListedModel[]): Promise<void> {
  const known = listed.filter((model) => model.maxOutputTokens !== undefined)
  const { rowCount } = await systemPool().query(
    `UPDATE models m SET max_output_tokens = l.tokens FROM unnest($1::text[], $2::integer[]) AS l (id, tokens)
      WHERE m.id = l.id AND m.max_output_tokens IS DISTINCT FROM l.tokens`,
    [known.map(({ id }) => id), known.map(({ maxOutputTokens }) => maxOutputTokens)],
  )
  if (rowCount) forgetCatalogue()
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
      const listed = await fetchCatalogue(provider)
      const count = listed === null ? 0 : await storePriceList(provider, listed, now)
      if (count > 0) counts[provider] = count
      if (provider === hostedAt && listed) await noteLongestAnswers(listed)
    } catch (error) {
      log.warn({ provider, reason: (error as Error).message }, 'a price list could not be refreshed')
    }
  }
  return counts
}
