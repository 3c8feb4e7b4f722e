import { systemPool } from '#app/platform/db.server.ts'
import { parseAtto } from '#app/platform/pico.ts'
import { dropSingleton, singleton } from '#app/platform/singleton.server.ts'
import type { PriceBook, Tier, TierPrice } from './pricing.ts'

/** A model that the gateway offers: its tier, and what its provider lists (for clamping a reported cost). */
export interface ModelRow {
  id: string
  name: string
  tier: Tier
  list: TierPrice
  contextLength: number | null
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

async function readCatalogue(): Promise<Catalogue> {
  const pool = systemPool()
  const [books, models, surfaces] = await Promise.all([
    pool.query(`SELECT b.version, b.effective_from, t.tier, t.input_usd::text, t.output_usd::text
                  FROM price_books b JOIN tier_prices t ON t.price_book_version = b.version ORDER BY b.version`),
    pool.query(
      `SELECT id, name, tier, list_input_usd::text, list_output_usd::text, context_length FROM models WHERE enabled ORDER BY id`,
    ),
    pool.query<Surface>('SELECT id, name, background FROM surfaces ORDER BY id'),
  ])
  const byVersion = new Map<number, PriceBook>()
  for (const row of books.rows) {
    const book = byVersion.get(row.version) ?? {
      version: row.version,
      effectiveFrom: row.effective_from,
      tiers: {} as PriceBook['tiers'],
    }
    book.tiers[row.tier as Tier] = { inputAtto: parseAtto(row.input_usd), outputAtto: parseAtto(row.output_usd) }
    byVersion.set(row.version, book)
  }
  const toModel = (row: Record<string, string | null>): ModelRow => ({
    id: row.id as string,
    name: row.name as string,
    tier: row.tier as Tier,
    list: { inputAtto: parseAtto(row.list_input_usd as string), outputAtto: parseAtto(row.list_output_usd as string) },
    contextLength: row.context_length === null ? null : Number(row.context_length),
  })
  return {
    books: [...byVersion.values()],
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
