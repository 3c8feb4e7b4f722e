import type { ChargeMode, KeySource } from '#app/domain/plans/plans.ts'
import { chargePico, type PriceBook, type Tier, tierPricePico } from '#app/domain/pricing/pricing.ts'
import type { Pico } from '#app/platform/pico.ts'

export type CallOrigin = 'gateway' | 'sweeper' | 'import'
/** `rejected_upstream`: the provider refused before it began (401, 402, 429, …). `interrupted`: our process died under it. */
export type CallStatus = 'ok' | 'client_closed' | 'interrupted' | 'upstream_error' | 'rejected_upstream'
export type UsageSource = 'provider' | 'generation' | 'estimated' | 'imported' | 'none'
export type CostSource = 'provider' | 'generation' | 'list_price' | 'imported' | 'none' | 'unknown'

/** What was decided before the request was sent, and never changes: it stands in the attempt row. */
export interface Dispatch {
  workspaceId: string
  /** UUIDv7; its millisecond is `dispatchedAt`. */
  id: string
  dispatchedAt: Date
  tokenId: string | null
  surface: string
  provider: string
  /** The catalogue's id where it knows the model, else the id the caller named. */
  model: string
  /** The model's id at the provider, where that is another. */
  upstreamModel: string | null
  endpoint: 'chat' | 'responses' | 'embeddings' | 'rerank'
  /** The call that a provider refused and that this one stands in for. */
  fallbackOf: string | null
  /** `none`: no tier holds the model; only modes that need no tier charge such calls. */
  tier: Tier | 'none'
  keySource: KeySource
  keyId: string | null
  keyVersion: number | null
  chargeMode: ChargeMode
  priceBookVersion: number
  streamed: boolean
}

/** What became of it. Token counts are inclusive (input holds cache, output holds reasoning); null is unknown. */
export interface Outcome {
  origin: CallOrigin
  status: CallStatus
  httpStatus: number | null
  errorCode: string | null
  responseModel: string | null
  inputTokens: bigint | null
  outputTokens: bigint | null
  cacheReadTokens: bigint | null
  cacheWriteTokens: bigint | null
  reasoningTokens: bigint | null
  usageSource: UsageSource
  /** null exactly where `costSource` is `unknown`. */
  rawCostPico: Pico | null
  costSource: CostSource
  costClamped: boolean
  /** The prices that made the raw cost, where the provider reports none: as they stood, and where they came from. */
  priceRow: Record<string, unknown> | null
  latencyMs: number | null
  firstByteMs: number | null
  upstreamId: string | null
}

/** A settled call as the ledger stores it: priced once, here, and summed ever after. */
export interface CallRecord extends Dispatch, Outcome {
  /** null: no tier holds the model. */
  tierPricePico: Pico | null
  /** null: held until the raw cost is known. */
  chargePico: Pico | null
}

/**
 * Prices a call by the price-book version of its dispatch. A call with no usage at all (refused before it began) costs
 * nothing at either end.
 * @throws Error where the book lacks the tier
 */
export function settleCall(dispatch: Dispatch, outcome: Outcome, book: PriceBook): CallRecord {
  if (book.version !== dispatch.priceBookVersion)
    throw new Error(`call ${dispatch.id} was dispatched under price book ${dispatch.priceBookVersion}`)
  const tokens = { inputTokens: outcome.inputTokens ?? 0n, outputTokens: outcome.outputTokens ?? 0n }
  const tierPrice = dispatch.tier === 'none' ? null : tierPricePico(book, dispatch.tier, tokens)
  return {
    ...dispatch,
    ...outcome,
    tierPricePico: tierPrice,
    chargePico: chargePico({
      chargeMode: dispatch.chargeMode,
      tierPricePico: tierPrice,
      rawCostPico: outcome.rawCostPico,
    }),
  }
}
