import { systemPool } from '#app/platform/db.server.ts'
import { rowArray, rowText } from '#app/platform/pg-array.ts'
import type { CallRecord } from './ledger.ts'

/** metering.outcome, field by field. What was decided before the call went out stands in its attempt. */
const outcomeFields = (call: CallRecord, place: number) => [
  place,
  call.workspaceId,
  call.id,
  rowText(call.origin),
  rowText(call.responseModel),
  rowText(call.status),
  call.httpStatus,
  rowText(call.errorCode),
  call.inputTokens,
  call.outputTokens,
  call.cacheReadTokens,
  call.cacheWriteTokens,
  call.reasoningTokens,
  rowText(call.usageSource),
  call.rawCostPico,
  rowText(call.costSource),
  call.costClamped,
  call.tierPricePico,
  call.chargePico,
  call.latencyMs,
  call.firstByteMs,
  rowText(call.upstreamId),
  rowText(call.priceRow && JSON.stringify(call.priceRow)),
  call.basisPico,
  rowText(call.basisSource),
  call.creditPico,
]

/**
 * Writes settled calls and their rollups in one statement and one transaction. Each is taken by whoever settles its attempt
 * first: recording again is harmless.
 * @returns for each call, in order, whether it was taken now; false: it was in the ledger already, or never had an attempt
 * @throws where the database refuses one of them (a broken charge rule): then none is written
 */
export async function recordCalls(calls: readonly CallRecord[]): Promise<boolean[]> {
  if (calls.length === 0) return []
  const { rows } = await systemPool().query<{ notTaken: number[] | null }>({
    name: 'settle-calls',
    text: 'SELECT metering.settle_calls($1) AS "notTaken"',
    values: [rowArray(calls, outcomeFields)],
  })
  const notTaken = rows[0]?.notTaken ?? null
  return calls.map((_, index) => notTaken === null || !notTaken.includes(index + 1))
}

const text = (amount: bigint | null): string | null => (amount === null ? null : amount.toString())

/** The columns that metering.import_calls reads. Integers travel as text: JSON numbers would pass through floats. */
const toRow = (call: CallRecord) => ({
  workspace_id: call.workspaceId,
  dispatched_at: call.dispatchedAt.toISOString(),
  id: call.id,
  token_id: call.tokenId,
  surface: call.surface,
  provider: call.provider,
  model: call.model,
  upstream_model: call.upstreamModel,
  response_model: call.responseModel,
  endpoint: call.endpoint,
  fallback_of: call.fallbackOf,
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
  price_row: call.priceRow,
  price_book_version: call.priceBookVersion,
  tier_price_pico: text(call.tierPricePico),
  charge_mode: call.chargeMode,
  charge_pico: text(call.chargePico),
  latency_ms: call.latencyMs,
  first_byte_ms: call.firstByteMs,
  upstream_id: call.upstreamId,
  markup_bp: call.markupBp,
  basis_pico: text(call.basisPico),
  basis_source: call.basisSource,
  credit_pico: text(call.creditPico),
})

/**
 * Writes calls that were made elsewhere, with their rollups, in one statement and one transaction. Each is known by its id:
 * importing again is harmless.
 * @returns the ids taken now
 * @throws where the database refuses one of them, or one did not come by import: then none is written
 */
export async function importCalls(calls: readonly CallRecord[]): Promise<Set<string>> {
  if (calls.length === 0) return new Set()
  const other = calls.find((call) => call.origin !== 'import')
  if (other) throw new Error(`call ${other.id} did not come by import`)
  const { rows } = await systemPool().query<{ id: string }>({
    name: 'import-calls',
    text: 'SELECT id::text FROM metering.import_calls($1::json) AS id',
    values: [JSON.stringify(calls.map(toRow))],
  })
  return new Set(rows.map((row) => row.id))
}

/** Makes sure the partitions of these months exist. */
export async function ensurePartitions(days: readonly Date[]): Promise<void> {
  const months = [...new Set(days.map((day) => `${day.toISOString().slice(0, 7)}-01`))]
  for (const month of months) await systemPool().query('SELECT metering.ensure_month_partition($1::date)', [month])
}
