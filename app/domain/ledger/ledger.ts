import type { ChargeMode, KeySource } from '#app/domain/plans/plans.ts'
import { chargePico, creditPico, type PriceBook, type Tier, tierPricePico } from '#app/domain/pricing/pricing.ts'
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
  /** Basis points of a `markup`; null in the other modes. */
  markupBp: number | null
  priceBookVersion: number
  streamed: boolean
}

/**
 * What a markup is taken of: the raw cost; of a free model the lowest rate that anybody pays for it; `none`: nobody pays for it
 * anywhere, so it is 0 and on the operator's list (stripe §2.5).
 */
export interface MarkupBasis {
  basisPico: Pico | null
  basisSource: 'raw_cost' | 'lowest_paid_rate' | 'none' | null
}
/** In modes that take no markup, and where the cost is unknown. */
export const noBasis: MarkupBasis = { basisPico: null, basisSource: null }

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
export interface CallRecord extends Dispatch, Outcome, MarkupBasis {
  /** null: no tier holds the model. */
  tierPricePico: Pico | null
  /** What goes onto the invoice; null: held until the raw cost is known. */
  chargePico: Pico | null
  /** What is drawn from credits. */
  creditPico: Pico
}

/**
 * Prices a call by the price-book version of its dispatch. A call with no usage at all (refused before it began) costs
 * nothing at either end.
 * @throws Error where the book lacks the tier
 */
export function settleCall(
  dispatch: Dispatch,
  outcome: Outcome,
  book: PriceBook,
  basis: MarkupBasis = noBasis,
): CallRecord {
  if (book.version !== dispatch.priceBookVersion)
    throw new Error(`call ${dispatch.id} was dispatched under price book ${dispatch.priceBookVersion}`)
  const { cacheReadTokens, cacheWriteTokens, rawCostPico } = outcome
  const { chargeMode, markupBp } = dispatch
  const tokens = { inputTokens: outcome.inputTokens ?? 0n, outputTokens: outcome.outputTokens ?? 0n }
  const tierPrice =
    dispatch.tier === 'none'
      ? null
      : tierPricePico(book, dispatch.tier, { ...tokens, cacheReadTokens, cacheWriteTokens })
  return {
    ...dispatch,
    ...outcome,
    ...basis,
    tierPricePico: tierPrice,
    chargePico: chargePico({ chargeMode, markupBp, tierPricePico: tierPrice, rawCostPico, ...basis }),
    creditPico: creditPico({ chargeMode, tierPricePico: tierPrice }),
  }
}
