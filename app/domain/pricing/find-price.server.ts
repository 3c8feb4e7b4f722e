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

/** A price for 10^`shift` units, as the tables write it, as exact text for one: the literal's shortest decimal, shifted. */
function perUnit(price: number, shift: number): string {
  const atto = parseDecimal(String(price), 18 - shift)
  if (atto === undefined || atto < 0n) throw new RangeError(`${price} is not a price in USD`)
  const digits = atto.toString().padStart(19, '0')
  return `${digits.slice(0, -18)}.${digits.slice(-18)}`
}

const perToken = (perMillion: number): string => perUnit(perMillion, 6)
const perCall = (perThousand: number): string => perUnit(perThousand, 3)

type TablePrice = number | { base: number; tiers: { start: number; price: number }[] } | undefined

/** Sizes count the whole input; a tier holds above its start. */
const atSize = (price: TablePrice, inputTokens: number): number | undefined =>
  typeof price === 'object'
    ? price.tiers.reduce((now, tier) => (inputTokens > tier.start ? tier.price : now), price.base)
    : price

type TableRow = Record<string, TablePrice>

/**
 * The tables' row for a model at this moment, its conditions of time applied, those of size not. Looked up once a minute per
 * model: searching the tables takes longer than everything else that is done to price a call.
 */
function tableRow(table: string, model: string, at: Date): TableRow | null {
  const held = singleton('price-table-rows', () => ({ minute: -1, rows: new Map<string, TableRow | null>() }))
  const minute = Math.floor(at.getTime() / 60_000)
  if (held.minute !== minute || held.rows.size > 10_000) {
    held.minute = minute
    held.rows.clear()
  }
  const name = `${table} ${model}`
  let row = held.rows.get(name)
  if (row === undefined) {
    const found = calcPrice({ input_tokens: 0, output_tokens: 0 }, model, { providerId: table, timestamp: at })
    row = (found?.model_price as TableRow | undefined) ?? null
    held.rows.set(name, row)
  }
  return row
}

/** OpenAI's models that search with every call, by a price per search that neither the tables nor the reply tell. */
const searchesAlways = /^gpt-[a-z0-9.-]*-search-(?:preview|api)/

/** What Claude keeps in its cache for an hour costs twice its input, wherever it is sold; some tables have no price of that. */
const hourOfClaude = (model: string, input: number): number | undefined =>
  /claude/i.test(model) ? 2 * input : undefined

/** Output that is priced apart, of which replies do not tell how much there was. */
const untold = ['output_reasoning_mtok', 'output_citation_mtok', 'input_text_messages_kcount']

/** What the tables charge for a model at this size and time; null where they do not know it, or not all of it. */
function tablePrices(table: string, model: string, inputTokens: number, at: Date): TokenPrices | null {
  const price = tableRow(table, model, at)
  if (!price || searchesAlways.test(model) || untold.some((name) => price[name] !== undefined)) return null
  const [input, output] = [atSize(price.input_mtok, inputTokens), atSize(price.output_mtok, inputTokens)]
  if (input === undefined || (output === undefined && !/embed|rerank/i.test(model))) return null
  const [read, write] = [atSize(price.cache_read_mtok, inputTokens), atSize(price.cache_write_mtok, inputTokens)]
  const hour = atSize(price.cache_write_1h_mtok, inputTokens) ?? (write && hourOfClaude(model, input))
  return {
    input: perToken(input),
    output: perToken(output ?? 0),
    ...(read === undefined ? {} : { cacheRead: perToken(read) }),
    ...(write === undefined ? {} : { cacheWrite: perToken(write) }),
    ...(hour === undefined ? {} : { cacheWriteHour: perToken(hour) }),
    ...apartPrices(price, inputTokens),
  }
}

/** The tables' names of what is priced apart from text, and the units that a price is for. */
const apartNames = {
  audioInput: ['input_audio_mtok', 1_000_000],
  audioOutput: ['output_audio_mtok', 1_000_000],
  imageInput: ['input_image_mtok', 1_000_000],
  imageOutput: ['output_image_mtok', 1_000_000],
  search: ['web_searches_kcount', 1_000],
  request: ['requests_kcount', 1_000],
} as const

function apartPrices(row: TableRow, inputTokens: number): Partial<TokenPrices> {
  const found = Object.entries(apartNames).flatMap(([name, [theirs, per]]) => {
    const price = atSize(row[theirs], inputTokens)
    return price === undefined ? [] : [[name, per === 1_000 ? perCall(price) : perToken(price)]]
  })
  return Object.fromEntries(found)
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

export interface PaidPricesQuestion {
  /** Whether an id of a list means the model that is asked about. */
  isSame: (model: string) => boolean
  /** The model as it was called; a free variant's name is asked about without its mark. */
  model: string
  inputTokens: number
  at: Date
}

/** What anybody is known to pay for a model: every price of it in every list that is not nothing. */
export async function findPaidPrices({ isSame, model, inputTokens, at }: PaidPricesQuestion): Promise<TokenPrices[]> {
  const { overrides, catalogues } = await priceLists()
  const own = [...overrides].filter(([name]) => isSame(name.slice(name.indexOf(' ') + 1))).map(([, { usd }]) => usd)
  const listed = [...catalogues.values()].flatMap(({ models }) =>
    Object.entries(models)
      .filter(([id]) => isSame(id))
      .map(([, prices]) => pricesFor(prices, inputTokens, at)),
  )
  const table = tablePrices('openrouter', model.replace(/:free$/, ''), inputTokens, at)
  return [...own, ...listed, ...(table ? [table] : [])]
}
