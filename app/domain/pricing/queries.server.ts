import { systemPool } from '#app/platform/db.server.ts'
import { parseAtto } from '#app/platform/pico.ts'
import { dropSingleton, singleton } from '#app/platform/singleton.server.ts'
import type { PriceBook, Tier, TierPrice, TokenRates } from './pricing.ts'

/** A model that the gateway offers: its tier, and what its provider lists (for clamping a reported cost). */
export interface ModelRow {
  id: string
  name: string
  tier: Tier
  list: TierPrice
  contextLength: number | null
  /** Of one answer, in tokens; null: not known. */
  maxOutputTokens: number | null
}

export interface Surface {
  id: string
  name: string
  background: boolean
}

export interface Catalogue {
  books: PriceBook[]
  models: Map<string, ModelRow>
  surfaces: Map<string, Surface>
}

/** How long a process may work with a catalogue it read, ms. A price is published earlier than that before it takes effect. */
export const CATALOGUE_AGE_MAX_MS = 30_000

interface RateRow {
  input_usd: string
  output_usd: string
  cache_read_usd: string | null
  cache_write_usd: string | null
}

const toRates = (row: RateRow): TokenRates => ({
  inputAtto: parseAtto(row.input_usd),
  outputAtto: parseAtto(row.output_usd),
  ...(row.cache_read_usd === null ? {} : { cacheReadAtto: parseAtto(row.cache_read_usd) }),
  ...(row.cache_write_usd === null ? {} : { cacheWriteAtto: parseAtto(row.cache_write_usd) }),
})

/** A price of larger calls, as the column `bands` holds it: decimals of USD per token as text. */
export interface PriceBand {
  aboveInputTokens: number
  inputUsd: string
  outputUsd: string
  cacheReadUsd?: string | null
  cacheWriteUsd?: string | null
}

const toBand = (band: PriceBand) => ({
  aboveInputTokens: BigInt(band.aboveInputTokens),
  ...toRates({
    input_usd: band.inputUsd,
    output_usd: band.outputUsd,
    cache_read_usd: band.cacheReadUsd ?? null,
    cache_write_usd: band.cacheWriteUsd ?? null,
  }),
})

/** Whoever wrote them in whatever order: the last that holds wins. */
const bySize = (a: { aboveInputTokens: bigint }, b: { aboveInputTokens: bigint }) =>
  a.aboveInputTokens < b.aboveInputTokens ? -1 : 1

type BookRow = {
  version: number
  workspace_id: string | null
  currency: string
  effective_from: Date
  effective_until: Date | null
}
type TierRow = RateRow & { price_book_version: number; tier: Tier; bands: PriceBand[] }
type MeterRow = { price_book_version: number; meter: string; name: string; unit: string; unit_usd: string }

/** Price books from their rows; drafts only where the rows hold them. */
export function toPriceBooks(books: BookRow[], tierRows: TierRow[], meterRows: MeterRow[]): PriceBook[] {
  return books.map((book) => ({
    version: book.version,
    workspaceId: book.workspace_id,
    currency: book.currency,
    effectiveFrom: book.effective_from,
    effectiveUntil: book.effective_until,
    tiers: Object.fromEntries(
      tierRows
        .filter((row) => row.price_book_version === book.version)
        .map((row): [Tier, TierPrice] => [
          row.tier,
          { ...toRates(row), ...(row.bands.length ? { bands: row.bands.map(toBand).sort(bySize) } : {}) },
        ]),
    ),
    meters: Object.fromEntries(
      meterRows
        .filter((row) => row.price_book_version === book.version)
        .map(({ meter, name, unit, unit_usd }) => [meter, { name, unit, unitAtto: parseAtto(unit_usd) }]),
    ),
  }))
}

const selectBooks = `SELECT version, workspace_id::text, currency, effective_from, effective_until FROM price_books`
const selectTiers = `SELECT price_book_version, tier, input_usd::text, output_usd::text, cache_read_usd::text, cache_write_usd::text, bands
  FROM tier_prices`
const selectMeters = `SELECT price_book_version, meter, name, unit, unit_usd::text FROM meter_prices`

/** One price book, draft or published. @returns undefined where there is none */
export async function readPriceBook(version: number): Promise<PriceBook | undefined> {
  const pool = systemPool()
  const [books, tierRows, meterRows] = await Promise.all([
    pool.query<BookRow>(`${selectBooks} WHERE version = $1`, [version]),
    pool.query<TierRow>(`${selectTiers} WHERE price_book_version = $1`, [version]),
    pool.query<MeterRow>(`${selectMeters} WHERE price_book_version = $1`, [version]),
  ])
  return toPriceBooks(books.rows, tierRows.rows, meterRows.rows)[0]
}

async function readCatalogue(): Promise<Catalogue> {
  const pool = systemPool()
  const [books, tierRows, meterRows, models, surfaces] = await Promise.all([
    pool.query<BookRow>(`${selectBooks} WHERE published_at IS NOT NULL ORDER BY version`),
    pool.query<TierRow>(selectTiers),
    pool.query<MeterRow>(selectMeters),
    pool.query(
      `SELECT id, name, tier, list_input_usd::text, list_output_usd::text, context_length, max_output_tokens FROM models WHERE enabled ORDER BY id`,
    ),
    pool.query<Surface>('SELECT id, name, background FROM surfaces ORDER BY id'),
  ])
  const toModel = (row: Record<string, string | null>): ModelRow => ({
    id: row.id as string,
    name: row.name as string,
    tier: row.tier as Tier,
    list: { inputAtto: parseAtto(row.list_input_usd as string), outputAtto: parseAtto(row.list_output_usd as string) },
    contextLength: row.context_length === null ? null : Number(row.context_length),
    maxOutputTokens: row.max_output_tokens === null ? null : Number(row.max_output_tokens),
  })
  return {
    books: toPriceBooks(books.rows, tierRows.rows, meterRows.rows),
    models: new Map(models.rows.map((row) => [row.id, toModel(row)])),
    surfaces: new Map(surfaces.rows.map((row) => [row.id, row])),
  }
}

/** Prices, models and surfaces, read at most every 30 s and shared by concurrent callers. */
export async function loadCatalogue(): Promise<Catalogue> {
  const held = singleton('catalogue', () => ({
    readAt: Number.NEGATIVE_INFINITY,
    value: undefined as Promise<Catalogue> | undefined,
  }))
  const now = performance.now()
  if (!held.value || now - held.readAt > CATALOGUE_AGE_MAX_MS) {
    held.readAt = now
    held.value = readCatalogue().catch((error) => {
      held.value = undefined
      throw error
    })
  }
  return held.value
}

/** After the catalogue was written by this process. */
export const forgetCatalogue = (): boolean => dropSingleton('catalogue')
