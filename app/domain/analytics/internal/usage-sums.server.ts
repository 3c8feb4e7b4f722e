import { Prisma } from '#app/generated/prisma/client.ts'
import type { Tx } from '#app/platform/db.server.ts'
import type { CallFilter, Sums } from '../analytics.ts'
import { rollupsWhere } from './filter-sql.server.ts'

/** One group of the rollups: exactly one of a (day, key source), a model, a surface or a tier. */
export interface SumsRow extends Record<string, string | null> {
  day: string | null
  key_source: string | null
  model: string | null
  surface: string | null
  tier: string | null
}

export const toSums = (row: SumsRow): Sums => ({
  calls: BigInt(row.calls as string),
  failedCalls: BigInt(row.failed_calls as string),
  heldCalls: BigInt(row.held_calls as string),
  inputTokens: BigInt(row.input_tokens as string),
  outputTokens: BigInt(row.output_tokens as string),
  cacheReadTokens: BigInt(row.cache_read_tokens as string),
  cacheWriteTokens: BigInt(row.cache_write_tokens as string),
  reasoningTokens: BigInt(row.reasoning_tokens as string),
  rawCostPico: BigInt(row.raw_cost_pico as string),
  tierPricePico: BigInt(row.tier_price_pico as string),
  chargePico: BigInt(row.charge_pico as string),
  creditPico: BigInt(row.credit_pico as string),
})

const sums = [
  ...[
    'calls',
    'failed_calls',
    'held_calls',
    'input_tokens',
    'output_tokens',
    'cache_read_tokens',
    'cache_write_tokens',
  ],
  ...['reasoning_tokens', 'raw_cost_pico', 'tier_price_pico', 'charge_pico', 'credit_pico'],
]
/** A cost is what is known of it now: corrections of a provider's are kept beside what the calls were settled with. */
const kept = (name: string) => (name === 'raw_cost_pico' ? 'raw_cost_pico + cost_corrected_pico' : name)
const added = Prisma.raw(sums.map((name) => `sum(${kept(name)}) AS ${name}`).join(', '))
const texts = Prisma.raw(sums.map((name) => `${name}::text`).join(', '))
const addedTexts = Prisma.raw(sums.map((name) => `sum(${name})::text AS ${name}`).join(', '))

/**
 * All sums that the page shows, in one pass over the matching rollup rows: every row is added up twice, by day and key and by what was
 * used. The breakdowns are added up from the latter, which are few.
 */
export const usageQuery = (workspaceId: string, filter: CallFilter): Prisma.Sql => Prisma.sql`
  WITH matched AS (
    SELECT day, key_source, model, surface, tier, ${added}
    FROM metering.call_daily_rollups WHERE ${rollupsWhere(workspaceId, filter)}
    GROUP BY GROUPING SETS ((day, key_source), (model, surface, tier)))
  SELECT day::text, key_source, NULL AS model, NULL AS surface, NULL AS tier, ${texts} FROM matched WHERE day IS NOT NULL
  UNION ALL
  SELECT NULL, NULL, model, surface, tier, ${addedTexts} FROM matched WHERE day IS NULL
  GROUP BY GROUPING SETS ((model), (surface), (tier))`

export const loadSums = (tx: Tx, workspaceId: string, filter: CallFilter): Promise<SumsRow[]> =>
  tx.$queryRaw<SumsRow[]>(usageQuery(workspaceId, filter))
