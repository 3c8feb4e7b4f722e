import { setTimeout as delay } from 'node:timers/promises'
import {
  estimatedUsage,
  nothingKnown,
  nothingUsed,
  type UsageOutcome,
  usageOutcome,
} from '#app/domain/ledger/usage-outcome.ts'
import { fetchGeneration } from '#app/domain/providers/fetch-generation.server.ts'
import type { UsageReport } from '#app/domain/providers/usage.ts'
import type { Call, ReplyOutcome } from './call.ts'

/** When the provider's record is asked for, in ms after the reply: records appear with a delay. */
const whileClientWaits = [0, 150, 350, 500]
const whenNobodyWaits = [200, 800, 2_000, 5_000]
const lookupTimeoutMs = 2_000

/** Asks for the provider's own record of a reply that did not say, or not all, what it used. */
async function lookUp(call: Call, outcome: ReplyOutcome): Promise<UsageReport | null> {
  if (outcome.generationId === null) return null
  for (const wait of outcome.clientGone ? whenNobodyWaits : whileClientWaits) {
    if (wait > 0) await delay(wait)
    const found = await fetchGeneration(call.provider, call.key, outcome.generationId, lookupTimeoutMs)
    if (found.kind === 'found' && found.report.tokens !== null) return found.report
    if (found.kind === 'refused') return null
  }
  return null
}

/**
 * What a call used and cost, from the best source there is: the reply, then the provider's record, then an estimate of the
 * tokens with the cost unknown. A refusal, and a request that never went out, used nothing.
 */
export async function resolveUsage(call: Call, outcome: ReplyOutcome): Promise<UsageOutcome> {
  if (outcome.ending === 'refused' || outcome.ending === 'unsent') return nothingUsed
  const { list } = call.model
  const { tokens, costPico } = outcome.facts
  if (tokens !== null && costPico !== null)
    return usageOutcome({ tokens, usageSource: 'provider', costPico, costSource: 'provider', list })
  const record = await lookUp(call, outcome)
  if (record?.tokens)
    return usageOutcome({
      tokens: record.tokens,
      usageSource: 'generation',
      costPico: record.costPico,
      costSource: 'generation',
      list,
    })
  if (tokens !== null)
    return usageOutcome({ tokens, usageSource: 'provider', costPico: null, costSource: 'unknown', list })
  if (outcome.bytes === 0 || outcome.ending === 'invalid') return nothingKnown
  return estimatedUsage({
    promptTokensEstimate: call.promptTokensEstimate,
    relayedBytes: outcome.bytes,
    streamed: call.dispatch.streamed,
  })
}
