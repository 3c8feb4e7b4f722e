import { stringify } from 'csv-stringify/sync'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { type Pico, picoToUsd } from '#app/platform/pico.ts'
import type { CallFilter, CallRow } from './analytics.ts'
import { listCalls } from './queries.server.ts'

/** Calls per query: large enough that a query's fixed cost vanishes, small enough to hold. */
const BATCH = 2_000

const usd = (amount: Pico | null): string => (amount === null ? '' : picoToUsd(amount))
const count = (tokens: bigint | null): string => tokens?.toString() ?? ''

/** Column → its text. Amounts are exact decimals in USD; an empty cell is unknown. */
const columns: Record<string, (call: CallRow) => string> = {
  dispatched_at_utc: (call) => call.dispatchedAt.toISOString(),
  call_id: (call) => call.id,
  surface: (call) => call.surface,
  provider: (call) => call.provider,
  model: (call) => call.model,
  tier: (call) => call.tier,
  key_source: (call) => call.keySource,
  charge_mode: (call) => call.chargeMode,
  status: (call) => call.status,
  http_status: (call) => call.httpStatus?.toString() ?? '',
  error_code: (call) => call.errorCode ?? '',
  input_tokens: (call) => count(call.inputTokens),
  output_tokens: (call) => count(call.outputTokens),
  cache_read_tokens: (call) => count(call.cacheReadTokens),
  cache_write_tokens: (call) => count(call.cacheWriteTokens),
  reasoning_tokens: (call) => count(call.reasoningTokens),
  raw_cost_usd: (call) => usd(call.rawCostPico),
  cost_source: (call) => call.costSource,
  tier_price_usd: (call) => usd(call.tierPricePico),
  charge_usd: (call) => usd(call.chargePico),
  held: (call) => (call.chargePico === null ? 'yes' : 'no'),
  price_book_version: (call) => call.priceBookVersion.toString(),
  latency_ms: (call) => call.latencyMs?.toString() ?? '',
  first_byte_ms: (call) => call.firstByteMs?.toString() ?? '',
  upstream_id: (call) => call.upstreamId ?? '',
  credits_usd: (call) => usd(call.creditPico),
  externally_billed: (call) => (call.keySource === 'workspace' ? 'yes' : 'no'),
  corrected_cost_usd: (call) => usd(call.correctedCostPico),
}

/**
 * Text that a spreadsheet would run is made plain by a leading apostrophe. csv-stringify does the same, but only for what
 * stands first in the cell: spaces and line breaks before it are looked through as well here.
 */
const plainCell = (text: string): string => (/^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text)

const toLines = (rows: string[][]): string =>
  stringify(
    rows.map((row) => row.map(plainCell)),
    { record_delimiter: '\r\n' },
  )

/** The filter's calls as CSV, newest first, a batch at a time: never all in memory. */
export async function* exportCalls(ctx: Ctx, filter: CallFilter): AsyncGenerator<string> {
  authorize(ctx, 'read:InferenceCall', { workspaceId: ctx.workspaceId })
  const write = Object.values(columns)
  let page = await listCalls(ctx, filter, { after: null, limit: BATCH })
  yield toLines([Object.keys(columns)])
  for (;;) {
    if (page.calls.length) yield toLines(page.calls.map((call) => write.map((cell) => cell(call))))
    if (page.next === null) return
    page = await listCalls(ctx, filter, { after: page.next, limit: BATCH })
  }
}
