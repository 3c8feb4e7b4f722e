import { type CallRecord, noBasis, type Outcome, settleCall } from '#app/domain/ledger/ledger.ts'
import {
  chargeModeFor,
  looksForOwnKey,
  markupBpFor,
  type PlanRules,
  planAllowsProvider,
} from '#app/domain/plans/plans.ts'
import { priceBookAt, priceTokens } from '#app/domain/pricing/pricing.ts'
import type { Catalogue } from '#app/domain/pricing/queries.server.ts'
import { newId } from '#app/platform/ids.ts'

/** What a workspace's past looked like. */
export interface Past {
  workspaceId: string
  plan: PlanRules
  tokenId: string
  /** Calls on a working day. */
  callsPerDay: number
  from: Date
  until: Date
  /** From when on the workspace's own key paid. */
  key: { id: string; version: number; since: Date } | null
  seed: number
}

const DAY_MS = 86_400_000

/** What each product feature asks of models: share of calls, models, and typical tokens. */
const habits: { surface: string; share: number; models: string[]; input: number; output: number }[] = [
  {
    surface: 'agent_run',
    share: 30,
    models: ['anthropic/claude-opus-4.6', 'anthropic/claude-sonnet-4.6', 'openai/gpt-5.2', 'moonshotai/kimi-k2.6'],
    input: 9_000,
    output: 900,
  },
  {
    surface: 'thread_reply_classification',
    share: 18,
    models: ['openai/gpt-5-mini', 'google/gemini-3-flash'],
    input: 900,
    output: 12,
  },
  {
    surface: 'canvas_autocomplete',
    share: 16,
    models: ['deepseek/deepseek-v4-flash', 'qwen/qwen3.5-plus'],
    input: 1_400,
    output: 60,
  },
  { surface: 'semantic_search', share: 9, models: ['openai/gpt-5-mini'], input: 600, output: 40 },
  {
    surface: 'message_translation',
    share: 8,
    models: ['google/gemini-3-flash', 'meta-llama/llama-4-maverick'],
    input: 500,
    output: 480,
  },
  { surface: 'document_ocr', share: 5, models: ['google/gemini-3-pro'], input: 5_200, output: 1_300 },
  { surface: 'search_reranker', share: 4, models: ['deepseek/deepseek-v4-flash'], input: 3_500, output: 20 },
  { surface: 'search_indexer', share: 6, models: ['meta-llama/llama-4-maverick'], input: 2_400, output: 90 },
  { surface: 'attachment_text_extraction', share: 3, models: ['google/gemini-3-flash'], input: 4_000, output: 700 },
  { surface: 'transcription', share: 1, models: ['x-ai/grok-4.3'], input: 7_000, output: 2_000 },
]

/** Deterministic numbers in [0, 1): the same past every time. */
function randomSource(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

function pick<T>(items: readonly T[], weight: (item: T) => number, random: () => number): T {
  let left = random() * items.reduce((sum, item) => sum + weight(item), 0)
  for (const item of items) {
    left -= weight(item)
    if (left < 0) return item
  }
  return items.at(-1) as T
}

const NO_USAGE = {
  responseModel: null,
  inputTokens: null,
  outputTokens: null,
  cacheReadTokens: null,
  cacheWriteTokens: null,
  reasoningTokens: null,
  usageSource: 'none',
  rawCostPico: 0n,
  costSource: 'none',
  costClamped: false,
  priceRow: null,
  firstByteMs: null,
  upstreamId: null,
} as const

function outcomeOf(
  past: Past,
  keySource: string,
  model: string,
  cost: (input: bigint, output: bigint) => bigint,
  habit: (typeof habits)[number],
  random: () => number,
): Outcome {
  const luck = random()
  if (luck < 0.012)
    return {
      ...NO_USAGE,
      origin: 'import',
      status: 'rejected_upstream',
      httpStatus: 429,
      errorCode: 'rate_limit_exceeded',
      latencyMs: 90 + Math.floor(random() * 200),
    }
  const spread = Math.exp((random() + random() + random() - 1.5) * 1.4)
  const input = BigInt(Math.max(20, Math.round(habit.input * spread)))
  const output = BigInt(Math.max(4, Math.round(habit.output * spread * (0.5 + random()))))
  const firstByteMs = 220 + Math.floor(random() * 900)
  const perMille = BigInt(Math.round((0.88 + random() * 0.3) * 1000))
  // A cost that the provider never reported: held, and settled later or at the cut-off.
  const unknown = keySource === 'workspace' && luck > 0.9985 && past.until.getTime() - DAY_MS > 0
  return {
    origin: 'import',
    status: luck < 0.022 ? 'client_closed' : 'ok',
    httpStatus: 200,
    errorCode: null,
    responseModel: model,
    inputTokens: input,
    outputTokens: output,
    cacheReadTokens: (input * BigInt(Math.floor(random() * 60))) / 100n,
    cacheWriteTokens: 0n,
    reasoningTokens: (output * BigInt(Math.floor(random() * 40))) / 100n,
    usageSource: 'provider',
    rawCostPico: unknown ? null : (cost(input, output) * perMille) / 1000n,
    costSource: unknown ? 'unknown' : 'provider',
    costClamped: false,
    priceRow: null,
    latencyMs: firstByteMs + Number(output) * 9,
    firstByteMs,
    upstreamId: `gen-${Math.floor(random() * 1e12).toString(36)}`,
  }
}

function callAt(at: Date, past: Past, catalogue: Catalogue, random: () => number): CallRecord {
  const habit = pick(habits, (one) => one.share, random)
  const modelId = habit.models[Math.floor(random() ** 1.5 * habit.models.length)] as string
  const model = catalogue.models.get(modelId)
  const book = priceBookAt(catalogue.books, at, { tier: model?.tier })
  if (!model || !book) throw new Error(`the demo needs ${modelId} and a price book in the catalogue`)
  const key = past.key && at >= past.key.since ? past.key : null
  const background = catalogue.surfaces.get(habit.surface)?.background ?? false
  const ownKeys = looksForOwnKey({ plan: past.plan, surfaceIsBackground: background, neverPlatformKey: false })
  const keySource =
    key && ownKeys && planAllowsProvider(past.plan, 'openrouter') ? ('workspace' as const) : ('platform' as const)
  const chargeMode = chargeModeFor(past.plan, keySource)
  const dispatch = {
    workspaceId: past.workspaceId,
    id: newId(at),
    dispatchedAt: at,
    tokenId: past.tokenId,
    surface: habit.surface,
    provider: 'openrouter',
    model: modelId,
    upstreamModel: null,
    endpoint: 'chat' as const,
    fallbackOf: null,
    tier: model.tier,
    keySource,
    keyId: keySource === 'workspace' ? (key?.id ?? null) : null,
    keyVersion: keySource === 'workspace' ? (key?.version ?? null) : null,
    chargeMode,
    markupBp: markupBpFor(past.plan, chargeMode, keySource),
    priceBookVersion: book.version,
    streamed: habit.surface === 'agent_run' || habit.surface === 'canvas_autocomplete',
  }
  const cost = (inputTokens: bigint, outputTokens: bigint) => priceTokens(model.list, { inputTokens, outputTokens })
  const outcome = outcomeOf(past, keySource, modelId, cost, habit, random)
  const takesShare = chargeMode === 'markup' && outcome.rawCostPico !== null
  const basis = takesShare ? { basisPico: outcome.rawCostPico, basisSource: 'raw_cost' as const } : noBasis
  return settleCall(dispatch, outcome, book, basis)
}

/** A believable past, one day at a time: busy on weekdays and in office hours, quiet at night. */
export function* daysOfCalls(past: Past, catalogue: Catalogue): Generator<CallRecord[]> {
  const random = randomSource(past.seed)
  const firstDay = Math.floor(past.from.getTime() / DAY_MS) * DAY_MS
  for (let day = firstDay; day <= past.until.getTime(); day += DAY_MS) {
    const weekday = new Date(day).getUTCDay()
    const busy = weekday === 0 || weekday === 6 ? 0.25 : 0.85 + random() * 0.4
    const calls: CallRecord[] = []
    for (let n = 0; n < past.callsPerDay * busy; n++) {
      const hour = 7 + 10 * ((random() + random()) / 2) + (random() < 0.12 ? 9 * random() - 6 : 0)
      const at = new Date(Math.floor(day + Math.max(0, Math.min(23.99, hour)) * 3_600_000 + random() * 3_600))
      if (at >= past.from && at <= past.until) calls.push(callAt(at, past, catalogue, random))
    }
    yield calls
  }
}
