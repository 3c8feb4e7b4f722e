import type { PriceLists } from '#app/domain/operations/prices.ts'
import { providerIds } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { parseAtto } from '#app/platform/pico.ts'
import { type Choice, providerName } from '#app/ui/analytics/analytics-view.ts'
import { ago } from '#app/ui/billing/keys/key-words.ts'
import { count, exactMoney } from '#app/ui/money.ts'
import { utcMinute } from '#app/ui/time.ts'

interface Named {
  provider: string
  providerName: string
  model: string
}

export interface PricesView {
  unpriced: (Named & { calls: string; since: string; last: string; missing: string })[]
  overrides: (Named & {
    input: string
    output: string
    cacheRead: string
    cacheWrite: string
    note: string
    set: string
  })[]
  catalogues: { provider: string; models: string; age: string }[]
  /** Providers that publish no list: their models are priced by tables or by hand. */
  unlisted: string
  choices: Choice[]
  /** What the form begins with. */
  start: { provider: string; model: string }
}

/** USD per token as USD per million tokens. Exact: atto-dollars per token are pico-dollars per million. */
const perMillion = (usd: string | null): string => (usd === null ? 'as input' : exactMoney(parseAtto(usd)))

const named = ({ provider, model }: { provider: string; model: string }): Named => ({
  provider,
  providerName: providerName(provider),
  model,
})

export function toPricesView(lists: PriceLists, start: PricesView['start'], now: Date): PricesView {
  const listed = new Set(lists.catalogues.map((one) => one.provider))
  return {
    unpriced: lists.unpriced.map((row) => ({
      ...named(row),
      calls: count(row.calls),
      since: utcMinute(row.firstSeenAt),
      last: ago(row.lastSeenAt, now),
      missing: row.missing,
    })),
    overrides: lists.overrides.map((row) => ({
      ...named(row),
      input: perMillion(row.inputUsd),
      output: perMillion(row.outputUsd),
      cacheRead: perMillion(row.cacheReadUsd),
      cacheWrite: perMillion(row.cacheWriteUsd),
      note: row.note,
      set: utcMinute(row.updatedAt),
    })),
    catalogues: lists.catalogues.map((row) => ({
      provider: providerName(row.provider),
      models: count(String(row.models)),
      age: `${ago(row.fetchedAt, now)}, ${utcMinute(row.fetchedAt)}`,
    })),
    unlisted: providerIds
      .filter((id) => !listed.has(id))
      .map((id) => providerOf(id).name)
      .join(', '),
    choices: providerIds.map((id) => ({ value: id, label: providerOf(id).name })),
    start,
  }
}
