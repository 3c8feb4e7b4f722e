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

/** All sums that the page shows, in one pass over the matching rollup rows. */
export const usageQuery = (workspaceId: string, filter: CallFilter): Prisma.Sql => Prisma.sql`
  SELECT day::text, key_source, model, surface, tier, sum(calls)::text AS calls, sum(failed_calls)::text AS failed_calls,
    sum(held_calls)::text AS held_calls, sum(input_tokens)::text AS input_tokens, sum(output_tokens)::text AS output_tokens,
    sum(cache_read_tokens)::text AS cache_read_tokens, sum(cache_write_tokens)::text AS cache_write_tokens,
    sum(reasoning_tokens)::text AS reasoning_tokens, sum(raw_cost_pico)::text AS raw_cost_pico,
    sum(tier_price_pico)::text AS tier_price_pico, sum(charge_pico)::text AS charge_pico, sum(credit_pico)::text AS credit_pico
  FROM metering.call_daily_rollups WHERE ${rollupsWhere(workspaceId, filter)}
  GROUP BY GROUPING SETS ((day, key_source), (model), (surface), (tier))`

export const loadSums = (tx: Tx, workspaceId: string, filter: CallFilter): Promise<SumsRow[]> =>
  tx.$queryRaw<SumsRow[]>(usageQuery(workspaceId, filter))
