import { calcPrice } from '@pydantic/genai-prices'
import { systemPool } from '#app/platform/db.server.ts'
import { log } from '#app/platform/log.server.ts'
import { parseDecimal } from '#app/platform/pico.ts'
import { dropSingleton, singleton } from '#app/platform/singleton.server.ts'
import { type ListedPrices, type PriceRow, pricesFor, type TokenPrices } from './raw-prices.ts'

/** Version of the price tables that ship with the package; named in every price row that came from them. */
const tablesVersion = '@pydantic/genai-prices 0.1.8'

interface PriceLists {
  /** By `provider model`. */
  overrides: Map<string, { usd: TokenPrices; asOf: string }>
  catalogues: Map<string, { models: Record<string, ListedPrices>; asOf: string }>
}

const listsAgeMaxMs = 60_000

async function readLists(): Promise<PriceLists> {
  const pool = systemPool()
  const [overrides, catalogues] = await Promise.all([
    pool.query(`SELECT provider, model, input_usd::text, output_usd::text, cache_read_usd::text, cache_write_usd::text, updated_at
                  FROM price_overrides`),
    pool.query('SELECT provider, models, fetched_at FROM provider_catalogues'),
  ])
  return {
    overrides: new Map(
      overrides.rows.map((row) => [
        `${row.provider} ${row.model}`,
        {
          usd: {
            input: row.input_usd,
            output: row.output_usd,
            ...(row.cache_read_usd === null ? {} : { cacheRead: row.cache_read_usd }),
            ...(row.cache_write_usd === null ? {} : { cacheWrite: row.cache_write_usd }),
          },
          asOf: row.updated_at.toISOString(),
        },
      ]),
    ),
    catalogues: new Map(
      catalogues.rows.map((row) => [row.provider, { models: row.models, asOf: row.fetched_at.toISOString() }]),
    ),
  }
}

/** The lists, at most a minute old. Old ones serve on while the database is away: a price is not forgotten for that. */
async function priceLists(): Promise<PriceLists> {
  const held = singleton('price-lists', () => ({
    readAt: Number.NEGATIVE_INFINITY,
    value: null as Promise<PriceLists> | null,
  }))
  if (held.value && performance.now() - held.readAt < listsAgeMaxMs) return held.value
  const before = held.value
  held.readAt = performance.now()
  held.value = readLists().catch((error) => {
    if (!before) held.value = null
    log.warn({ reason: (error as Error).message }, 'price lists cannot be read')
    if (before) return before
    throw error
  })
  return held.value
}

/** After this process wrote a list. */
export const forgetPriceLists = (): boolean => dropSingleton('price-lists')

/** USD per million tokens, as the tables write it, as exact text of USD per token: the literal's shortest decimal, shifted. */
function perToken(perMillion: number): string {
  const atto = parseDecimal(String(perMillion), 12)
  if (atto === undefined || atto < 0n) throw new RangeError(`${perMillion} is not a price in USD per million tokens`)
  const digits = atto.toString().padStart(19, '0')
  return `${digits.slice(0, -18)}.${digits.slice(-18)}`
}

type TablePrice = number | { base: number; tiers: { start: number; price: number }[] } | undefined

/** Sizes count the whole input; a tier holds above its start. */
const atSize = (price: TablePrice, inputTokens: number): number | undefined =>
  typeof price === 'object'
    ? price.tiers.reduce((now, tier) => (inputTokens > tier.start ? tier.price : now), price.base)
    : price

/** The price tables' row for a model, with their conditions of time and size applied. */
function tablePrices(table: string, model: string, inputTokens: number, at: Date): TokenPrices | null {
  const usage = { input_tokens: inputTokens, output_tokens: 0 }
  const found = calcPrice(usage, model, { providerId: table, timestamp: at })
  if (!found) return null
  const price = found.model_price as Record<string, TablePrice>
  const [input, output] = [atSize(price.input_mtok, inputTokens), atSize(price.output_mtok, inputTokens)]
  if (input === undefined || (output === undefined && !/embed|rerank/i.test(model))) return null
  const [read, write] = [atSize(price.cache_read_mtok, inputTokens), atSize(price.cache_write_mtok, inputTokens)]
  return {
    input: perToken(input),
    output: perToken(output ?? 0),
    ...(read === undefined ? {} : { cacheRead: perToken(read) }),
    ...(write === undefined ? {} : { cacheWrite: perToken(write) }),
  }
}

export interface PriceQuestion {
  provider: string
  /** The provider's name in the price tables, where it has one. */
  priceTable: string | null
  /** The model's id at the provider. */
  model: string
  inputTokens: number
  at: Date
}

/**
 * What a provider charges for a model: the operator's own row, else the provider's published list, else the price tables
 * (providers §3.2). @returns null where nobody knows: the cost is unknown then, which is not zero
 */
export async function findPrice({
  provider,
  priceTable,
  model,
  inputTokens,
  at,
}: PriceQuestion): Promise<PriceRow | null> {
  const { overrides, catalogues } = await priceLists()
  const own = overrides.get(`${provider} ${model}`)
  if (own) return { source: 'override', asOf: own.asOf, model, usd: own.usd }
  const catalogue = catalogues.get(provider)
  const listed = catalogue && Object.hasOwn(catalogue.models, model) ? catalogue.models[model] : undefined
  if (catalogue && listed)
    return { source: 'provider_catalogue', asOf: catalogue.asOf, model, usd: pricesFor(listed, inputTokens, at) }
  const usd = priceTable === null ? null : tablePrices(priceTable, model, inputTokens, at)
  return usd && { source: 'genai_prices', asOf: tablesVersion, model, usd }
}

/** Puts a model on the operator's list of those that nobody knows the price of. */
export async function noteUnpriced(provider: string, model: string, at: Date): Promise<void> {
  await systemPool().query(
    `INSERT INTO unpriced_models AS u (provider, model, calls, first_seen_at, last_seen_at) VALUES ($1, $2, 1, $3, $3)
     ON CONFLICT (provider, model) DO UPDATE SET calls = u.calls + 1, last_seen_at = greatest(u.last_seen_at, excluded.last_seen_at)`,
    [provider, model.slice(0, 200), at],
  )
}
