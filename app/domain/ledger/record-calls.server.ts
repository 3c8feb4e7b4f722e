import { systemPool } from '#app/platform/db.server.ts'
import type { CallRecord } from './ledger.ts'

const text = (amount: bigint | null): string | null => (amount === null ? null : amount.toString())

/** The columns that metering.record_calls reads. Integers travel as text: JSON numbers would pass through floats. */
const toRow = (call: CallRecord) => ({
  workspace_id: call.workspaceId,
  dispatched_at: call.dispatchedAt.toISOString(),
  id: call.id,
  attempt: 1,
  origin: call.origin,
  token_id: call.tokenId,
  surface: call.surface,
  provider: call.provider,
  model: call.model,
  response_model: call.responseModel,
  tier: call.tier,
  key_source: call.keySource,
  key_id: call.keyId,
  key_version: call.keyVersion,
  streamed: call.streamed,
  status: call.status,
  http_status: call.httpStatus,
  error_code: call.errorCode,
  input_tokens: text(call.inputTokens),
  output_tokens: text(call.outputTokens),
  cache_read_tokens: text(call.cacheReadTokens),
  cache_write_tokens: text(call.cacheWriteTokens),
  reasoning_tokens: text(call.reasoningTokens),
  usage_source: call.usageSource,
  raw_cost_pico: text(call.rawCostPico),
  cost_source: call.costSource,
  cost_clamped: call.costClamped,
  price_book_version: call.priceBookVersion,
  tier_price_pico: text(call.tierPricePico),
  charge_mode: call.chargeMode,
  charge_pico: text(call.chargePico),
  latency_ms: call.latencyMs,
  first_byte_ms: call.firstByteMs,
  upstream_id: call.upstreamId,
})

/**
 * Writes settled calls and their rollups in one statement and one transaction. A gateway or sweeper call is taken only by
 * whoever settles its attempt first, an imported one only once: recording again is harmless.
 * @returns the ids taken now
 * @throws where the database refuses one of them (a broken charge rule): then none is written
 */
export async function recordCalls(calls: readonly CallRecord[]): Promise<Set<string>> {
  if (!calls.length) return new Set()
  const { rows } = await systemPool().query<{ id: string }>({
    name: 'record-calls',
    text: 'SELECT id::text FROM metering.record_calls($1::json) AS id',
    values: [JSON.stringify(calls.map(toRow))],
  })
  return new Set(rows.map((row) => row.id))
}

/** Makes sure the partitions of these months exist. */
export async function ensurePartitions(days: readonly Date[]): Promise<void> {
  const months = [...new Set(days.map((day) => `${day.toISOString().slice(0, 7)}-01`))]
  for (const month of months) await systemPool().query('SELECT metering.ensure_month_partition($1::date)', [month])
}
