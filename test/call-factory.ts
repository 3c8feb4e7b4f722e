import type pg from 'pg'
import { type CallRecord, type Dispatch, type Outcome, settleCall } from '#app/domain/ledger/ledger.ts'
import { ensurePartitions, importCalls } from '#app/domain/ledger/record-calls.server.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { newId } from '#app/platform/ids.ts'

/** A settled call that came in by import; `parts` says what is special about it. */
export async function makeCall(
  workspaceId: string,
  dispatchedAt: Date,
  parts: Partial<Dispatch & Outcome> = {},
): Promise<CallRecord> {
  const book = (await loadCatalogue()).books.find((one) => one.version === 1)
  if (!book) throw new Error('the catalogue has no price book 1')
  const keySource = parts.keySource ?? 'platform'
  const dispatch: Dispatch = {
    workspaceId,
    id: newId(dispatchedAt),
    dispatchedAt,
    tokenId: null,
    surface: 'agent_run',
    provider: 'openrouter',
    model: 'anthropic/claude-sonnet-4.6',
    upstreamModel: null,
    endpoint: 'chat' as const,
    fallbackOf: null,
    tier: 'balanced',
    keySource,
    keyId: null,
    keyVersion: null,
    chargeMode: keySource === 'workspace' ? 'tier_margin' : 'tier',
    markupBp: null,
    priceBookVersion: 1,
    streamed: false,
  }
  const outcome: Outcome = {
    origin: 'import',
    status: 'ok',
    httpStatus: 200,
    errorCode: null,
    responseModel: null,
    inputTokens: 1_000n,
    outputTokens: 100n,
    cacheReadTokens: null,
    cacheWriteTokens: null,
    reasoningTokens: null,
    usageSource: 'imported',
    rawCostPico: 4_500_000_000n,
    costSource: 'imported',
    costClamped: false,
    priceRow: null,
    latencyMs: 900,
    firstByteMs: 200,
    upstreamId: null,
  }
  const chosen = <T extends object>(defaults: T): T =>
    Object.fromEntries(
      Object.entries(defaults).map(([name, value]) => [name, name in parts ? parts[name as never] : value]),
    ) as T
  const [made, ended] = [chosen(dispatch), chosen(outcome)]
  const isMarkedUp = made.chargeMode === 'markup' && ended.rawCostPico !== null
  return settleCall(
    made,
    ended,
    book,
    isMarkedUp ? { basisPico: ended.rawCostPico, basisSource: 'raw_cost' } : undefined,
  )
}

/** Records calls, with the partitions they need. */
export async function recordAll(calls: CallRecord[]): Promise<void> {
  await ensurePartitions(calls.map((call) => call.dispatchedAt))
  await importCalls(calls)
}

/**
 * Many calls at once, made inside PostgreSQL through the owner's connection: evenly over `days` days that end before
 * `until` (UTC midnight), half on the workspace's key; their rollups are copied from the recount.
 */
export async function generateCalls(
  owner: pg.Client,
  { workspaceId, calls, days, until }: { workspaceId: string; calls: number; days: number; until: string },
): Promise<void> {
  const start = Date.parse(`${until}T00:00:00Z`) - days * 86_400_000
  const months = Array.from({ length: days + 1 }, (_, day) =>
    new Date(start + day * 86_400_000).toISOString().slice(0, 7),
  )
  for (const month of new Set(months))
    await owner.query('SELECT metering.ensure_month_partition($1::date)', [`${month}-01`])
  await owner.query(
    `INSERT INTO metering.inference_calls (workspace_id, dispatched_at, id, billing_month, origin, surface, provider, model, tier,
       key_source, key_id, key_version, streamed, status, http_status, input_tokens, output_tokens, usage_source, raw_cost_pico, cost_source,
       price_book_version, tier_price_pico, charge_mode, charge_pico, latency_ms)
     SELECT $1::uuid, to_timestamp(ms / 1000.0), id, date_trunc('month', to_timestamp(ms / 1000.0) AT TIME ZONE 'UTC')::date, 'import', surface,
       'openrouter', model, tier, key_source, NULL, NULL, true, 'ok', 200, input, output, 'imported', raw, 'imported', 1, price,
       CASE key_source WHEN 'workspace' THEN 'tier_margin' ELSE 'tier' END,
       CASE key_source WHEN 'workspace' THEN greatest(0, price - raw) ELSE price END, 500 + n % 4000
     FROM (
       SELECT n, ms, model, tier, surface, key_source, input, output, input * 3500000 + output * 17500000 AS price,
         (input * 3500000 + output * 17500000) / 10 * (n % 12) AS raw,
         (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid AS id
       FROM (
         SELECT n, ($2::bigint + n * ($3::bigint * 86400000) / $4::bigint) AS ms, 200 + n % 3000 AS input, 10 + n % 700 AS output,
           (ARRAY['anthropic/claude-opus-4.6','openai/gpt-5.2','google/gemini-3-pro','anthropic/claude-sonnet-4.6','x-ai/grok-4.3',
             'moonshotai/kimi-k2.6','openai/gpt-5-mini','google/gemini-3-flash','deepseek/deepseek-v4-flash','qwen/qwen3.5-plus'])[1 + n % 10] AS model,
           (ARRAY['frontier','frontier','frontier','balanced','balanced','balanced','cost_effective','cost_effective','cost_effective','cost_effective'])[1 + n % 10] AS tier,
           (ARRAY['agent_run','canvas_autocomplete','semantic_search','document_ocr','message_translation','transcription','search_indexer'])[1 + n % 7] AS surface,
           CASE WHEN n % 7 <> 6 AND n % 2 = 0 THEN 'workspace' ELSE 'platform' END AS key_source
         FROM generate_series(0, $4::bigint - 1) AS n) AS drawn) AS made`,
    [workspaceId, start, days, calls],
  )
  await owner.query(
    'INSERT INTO metering.call_daily_rollups SELECT * FROM metering.call_daily_recount WHERE workspace_id = $1',
    [workspaceId],
  )
  await owner.query('ANALYZE metering.inference_calls')
  await owner.query('ANALYZE metering.call_daily_rollups')
}
