import type { ChargeMode, KeySource } from '#app/domain/plans/plans.ts'
import { Prisma } from '#app/generated/prisma/client.ts'
import type { CallRow } from '../analytics.ts'

/**
 * What a list reads of metering.calls_now. Integers come as text, so that no driver makes floats of them. A corrected cost is looked up
 * by its time as well: without it each call went through all costs that were corrected since the table was last analysed.
 */
export const callColumns = Prisma.sql`
  id::text, dispatched_at, surface, provider, model, tier, key_source, charge_mode, streamed, status, http_status, error_code,
  input_tokens::text, output_tokens::text, cache_read_tokens::text, cache_write_tokens::text, reasoning_tokens::text,
  raw_cost_pico::text, cost_source, tier_price_pico::text, charge_pico::text, credit_pico::text, correction_reason, latency_ms, first_byte_ms,
  price_book_version, upstream_id,
  (SELECT x.raw_cost_pico::text FROM metering.call_adjustments x WHERE x.workspace_id = calls_now.workspace_id
     AND x.call_id = calls_now.id AND x.dispatched_at = calls_now.dispatched_at AND x.corrects_cost ORDER BY x.seq DESC LIMIT 1) AS corrected_cost_pico`

export interface RawCall {
  id: string
  dispatched_at: Date
  surface: string
  provider: string
  model: string
  tier: string
  key_source: string
  charge_mode: string
  streamed: boolean
  status: string
  http_status: number | null
  error_code: string | null
  input_tokens: string | null
  output_tokens: string | null
  cache_read_tokens: string | null
  cache_write_tokens: string | null
  reasoning_tokens: string | null
  raw_cost_pico: string | null
  corrected_cost_pico: string | null
  cost_source: string
  tier_price_pico: string | null
  charge_pico: string | null
  credit_pico: string
  correction_reason: string | null
  latency_ms: number | null
  first_byte_ms: number | null
  price_book_version: number
  upstream_id: string | null
}

const whole = (text: string | null): bigint | null => (text === null ? null : BigInt(text))

export const toCallRow = (row: RawCall): CallRow => ({
  id: row.id,
  dispatchedAt: row.dispatched_at,
  surface: row.surface,
  provider: row.provider,
  model: row.model,
  tier: row.tier,
  keySource: row.key_source as KeySource,
  chargeMode: row.charge_mode as ChargeMode,
  streamed: row.streamed,
  status: row.status,
  httpStatus: row.http_status,
  errorCode: row.error_code,
  inputTokens: whole(row.input_tokens),
  outputTokens: whole(row.output_tokens),
  cacheReadTokens: whole(row.cache_read_tokens),
  cacheWriteTokens: whole(row.cache_write_tokens),
  reasoningTokens: whole(row.reasoning_tokens),
  rawCostPico: whole(row.raw_cost_pico),
  correctedCostPico: whole(row.corrected_cost_pico),
  costSource: row.cost_source,
  tierPricePico: whole(row.tier_price_pico),
  chargePico: whole(row.charge_pico),
  creditPico: BigInt(row.credit_pico),
  correctionReason: row.correction_reason,
  latencyMs: row.latency_ms,
  firstByteMs: row.first_byte_ms,
  priceBookVersion: row.price_book_version,
  upstreamId: row.upstream_id,
})
