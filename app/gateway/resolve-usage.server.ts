import { setTimeout as delay } from 'node:timers/promises'
import { estimateTokens } from '#app/domain/ledger/estimate.ts'
import type { CostSource, UsageSource } from '#app/domain/ledger/ledger.ts'
import { priceTokens } from '#app/domain/pricing/pricing.ts'
import { fetchGeneration } from '#app/domain/providers/fetch-generation.server.ts'
import { clampRawCost, type Tokens, type UsageReport } from '#app/domain/providers/usage.ts'
import type { Pico } from '#app/platform/pico.ts'
import type { Call, ReplyOutcome } from './call.ts'

export interface ResolvedUsage {
  tokens: Tokens | null
  usageSource: UsageSource
  rawCostPico: Pico | null
  costSource: CostSource
  costClamped: boolean
}

/** When the provider's record is asked for, in ms after the reply: records appear with a delay. */
const whileClientWaits = [0, 150, 350, 500]
const whenNobodyWaits = [200, 800, 2_000, 5_000]

/** Asks for the provider's own record of a reply that did not say, or not all, what it used. */
async function lookUp(call: Call, outcome: ReplyOutcome): Promise<UsageReport | null> {
  if (outcome.generationId === null) return null
  for (const wait of outcome.clientGone ? whenNobodyWaits : whileClientWaits) {
    if (wait > 0) await delay(wait)
    const found = await fetchGeneration(call.provider, call.key, outcome.generationId, 2_000)
    if (found.kind === 'found' && found.report.tokens !== null) return found.report
    if (found.kind === 'refused') return null
  }
  return null
}

function withCost(
  call: Call,
  tokens: Tokens,
  usageSource: UsageSource,
  costPico: Pico | null,
  from: CostSource,
): ResolvedUsage {
  if (costPico === null) return { tokens, usageSource, rawCostPico: null, costSource: 'unknown', costClamped: false }
  const list = priceTokens(call.model.list, { inputTokens: BigInt(tokens.input), outputTokens: BigInt(tokens.output) })
  const held = clampRawCost(costPico, list)
  return { tokens, usageSource, rawCostPico: held.costPico, costSource: from, costClamped: held.clamped }
}

const nothingUsed: ResolvedUsage = {
  tokens: null,
  usageSource: 'none',
  rawCostPico: 0n,
  costSource: 'none',
  costClamped: false,
}

/**
 * What a call used and cost, from the best source there is: the reply, then the provider's record, then an estimate of the
 * tokens with the cost unknown. A refusal, and a request that never went out, used nothing.
 */
export async function resolveUsage(call: Call, outcome: ReplyOutcome): Promise<ResolvedUsage> {
  if (outcome.ending === 'refused' || outcome.ending === 'unsent') return nothingUsed
  const { tokens, costPico } = outcome.facts
  if (tokens !== null && costPico !== null) return withCost(call, tokens, 'provider', costPico, 'provider')
  const record = await lookUp(call, outcome)
  if (record?.tokens) return withCost(call, record.tokens, 'generation', record.costPico, 'generation')
  if (tokens !== null) return withCost(call, tokens, 'provider', null, 'unknown')
  if (outcome.bytes === 0) return { ...nothingUsed, rawCostPico: null, costSource: 'unknown' }
  const estimate = estimateTokens({
    promptTokensEstimate: call.promptTokensEstimate,
    relayedBytes: outcome.bytes,
    streamed: call.dispatch.streamed,
  })
  return withCost(call, estimate, 'estimated', null, 'unknown')
}
