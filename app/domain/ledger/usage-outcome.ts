import { priceTokens, type TierPrice } from '#app/domain/pricing/pricing.ts'
import type { PriceRow } from '#app/domain/pricing/raw-prices.ts'
import { clampRawCost, type Tokens } from '#app/domain/providers/usage.ts'
import type { Pico } from '#app/platform/pico.ts'
import type { CostSource, Outcome, UsageSource } from './ledger.ts'

/** The part of an outcome that says what a call used and cost. */
export type UsageOutcome = Pick<
  Outcome,
  | 'inputTokens'
  | 'outputTokens'
  | 'cacheReadTokens'
  | 'cacheWriteTokens'
  | 'reasoningTokens'
  | 'usageSource'
  | 'rawCostPico'
  | 'costSource'
  | 'costClamped'
  | 'priceRow'
>

const noTokens = {
  inputTokens: null,
  outputTokens: null,
  cacheReadTokens: null,
  cacheWriteTokens: null,
  reasoningTokens: null,
}

/** The provider did no work: it refused, or was never reached. */
export const nothingUsed: UsageOutcome = {
  ...noTokens,
  usageSource: 'none',
  rawCostPico: 0n,
  costSource: 'none',
  costClamped: false,
  priceRow: null,
}

/** The request went out and nothing came back: nothing to charge for, but the provider may have been paid. */
export const nothingKnown: UsageOutcome = {
  ...noTokens,
  usageSource: 'none',
  rawCostPico: null,
  costSource: 'unknown',
  costClamped: false,
  priceRow: null,
}

const tokenColumns = (tokens: Tokens) => ({
  inputTokens: BigInt(tokens.input),
  outputTokens: BigInt(tokens.output),
  cacheReadTokens: BigInt(tokens.cacheRead),
  cacheWriteTokens: BigInt(tokens.cacheWrite),
  reasoningTokens: BigInt(tokens.reasoning),
})

export interface ReportedUsage {
  tokens: Tokens
  usageSource: UsageSource
  /** As reported; null is unknown. */
  costPico: Pico | null
  costSource: CostSource
  /** What the provider lists for the model: the measure of what can be believed of its bill. Null: nobody knows. */
  list: TierPrice | null
  /** The prices that made the cost, where it was not reported but computed. */
  priceRow?: PriceRow
}

/**
 * A million dollars for one call: nobody's bill, and near what a column of the ledger can hold. A row that it cannot hold
 * would leave the call unsettled for ever.
 */
const mostCostPico = 1_000_000_000_000_000_000n

/** Usage as the ledger stores it, the cost held within what the provider's own list allows. One beyond belief is unknown. */
export function usageOutcome(usage: ReportedUsage): UsageOutcome {
  const { tokens, usageSource, costPico, costSource, list, priceRow } = usage
  const columns = tokenColumns(tokens)
  if (costPico === null)
    return { ...columns, usageSource, rawCostPico: null, costSource: 'unknown', costClamped: false, priceRow: null }
  const row = priceRow ? { ...priceRow } : null
  const believed = list === null || row !== null ? null : clampRawCost(costPico, priceTokens(list, columns))
  const rawCostPico = believed?.costPico ?? costPico
  if (rawCostPico > mostCostPico) return usageOutcome({ ...usage, costPico: null })
  return { ...columns, usageSource, rawCostPico, costSource, costClamped: believed?.clamped ?? false, priceRow: row }
}

/** Bytes of an event stream, and of a plain answer, per token of output: high on purpose. */
const streamBytesPerToken = 300
const plainBytesPerToken = 6

export interface EstimateInput {
  promptTokensEstimate: number
  relayedBytes: number
  streamed: boolean
}

/**
 * Tokens of a call that nobody could tell us anything about. It errs to the customer's favour: nothing at all where nothing
 * was relayed. It is marked as an estimate wherever it is shown, and its cost stays unknown (providers §3.4).
 */
export function estimatedUsage({ promptTokensEstimate, relayedBytes, streamed }: EstimateInput): UsageOutcome {
  const output = Math.floor(relayedBytes / (streamed ? streamBytesPerToken : plainBytesPerToken))
  const tokens = {
    input: relayedBytes > 0 ? promptTokensEstimate : 0,
    output,
    cacheRead: 0,
    cacheWrite: 0,
    reasoning: 0,
  }
  return {
    ...tokenColumns(tokens),
    usageSource: 'estimated',
    rawCostPico: null,
    costSource: 'unknown',
    costClamped: false,
    priceRow: null,
  }
}
