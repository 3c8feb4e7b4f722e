import { setTimeout as delay } from 'node:timers/promises'
import {
  nothingKnown,
  nothingUsed,
  type ReportedUsage,
  type UsageOutcome,
  usageOutcome,
} from '#app/domain/ledger/usage-outcome.ts'
import { findPrice } from '#app/domain/pricing/find-price.server.ts'
import { noteUnpriced } from '#app/domain/pricing/note-unpriced.server.ts'
import { type PriceRow, rawCostOf, unpricedUnits } from '#app/domain/pricing/raw-prices.ts'
import { fetchGeneration } from '#app/domain/providers/fetch-generation.server.ts'
import type { Tokens, UsageReport } from '#app/domain/providers/usage.ts'
import type { Call, ReplyOutcome } from './call.ts'
import { estimateTokens } from './estimate-tokens.ts'

/** When the provider's record is asked for, in ms after the reply: records appear with a delay. */
const whileClientWaits = [0, 150, 350, 500]
const whenNobodyWaits = [200, 800, 2_000, 5_000]
const lookupTimeoutMs = 2_000

/** Asks for the provider's own record of a reply that did not say, or not all, what it used. */
async function lookUp(call: Call, outcome: ReplyOutcome): Promise<UsageReport | null> {
  if (outcome.generationId === null || !call.provider.generation) return null
  for (const wait of outcome.clientGone ? whenNobodyWaits : whileClientWaits) {
    if (wait > 0) await delay(wait)
    const found = await fetchGeneration(call.provider.id, call.credential, outcome.generationId, lookupTimeoutMs)
    if (found.kind === 'found' && found.report.tokens !== null) return found.report
    if (found.kind === 'refused') return null
  }
  return null
}

/** What the provider lists for the model at this size and time; null, and on the operator's list, where that is not all of it. */
async function priceOf(call: Call, served: string | null, tokens: Tokens): Promise<PriceRow | null> {
  const { provider, upstreamModel, dispatch } = call
  // Azure is called by the name that somebody gave a deployment: only the reply says which model that is.
  const model = provider.models.shape === 'deployment' ? (served ?? upstreamModel) : upstreamModel
  const question = {
    provider: provider.id,
    priceTable: provider.priceTable,
    model,
    inputTokens: tokens.input,
    at: dispatch.dispatchedAt,
  }
  const row = await findPrice(question).catch(() => null)
  const missing = row ? unpricedUnits(row.usd, tokens) : []
  if (row && missing.length === 0) return tokens.apart ? { ...row, apart: tokens.apart } : row
  noteUnpriced(provider.id, model, dispatch.dispatchedAt, missing.join(', '))
  return null
}

type Known = Pick<ReportedUsage, 'tokens' | 'usageSource'>

/** Usage of a provider that sends no bill: what its own list, or the price tables, make of the tokens. */
async function byListPrice(call: Call, known: Known, served: string | null): Promise<UsageOutcome> {
  const row = await priceOf(call, served, known.tokens)
  return usageOutcome({
    ...known,
    costPico: row && rawCostOf(row.usd, known.tokens),
    costSource: 'list_price',
    list: call.list,
    priceRow: row ?? undefined,
  })
}

/** The cost of a call whose provider bills is what it billed, or unknown until it says so. */
const billed = (call: Call, known: Known, costPico: bigint | null, costSource: 'provider' | 'generation') =>
  usageOutcome({ ...known, costPico, costSource, list: call.list })

/**
 * What a call used and cost, from the best source there is: the reply, then the provider's record, then an estimate of the
 * tokens. The cost is the provider's own bill where its host may be believed, else its list price, else unknown. A refusal,
 * and a request that never went out, used nothing.
 */
export async function resolveUsage(call: Call, outcome: ReplyOutcome): Promise<UsageOutcome> {
  if (outcome.ending === 'refused' || outcome.ending === 'unsent') return nothingUsed
  const { tokens, costPico } = outcome.facts
  const { reportsCost } = call.provider
  if (tokens !== null && reportsCost && costPico !== null)
    return billed(call, { tokens, usageSource: 'provider' }, costPico, 'provider')
  if (reportsCost && costPico !== null) return estimated(call, outcome, costPico)
  const record = await lookUp(call, outcome)
  if (record?.tokens)
    return billed(call, { tokens: record.tokens, usageSource: 'generation' }, record.costPico, 'generation')
  if (tokens !== null) {
    const known: Known = { tokens, usageSource: 'provider' }
    return reportsCost ? billed(call, known, null, 'provider') : byListPrice(call, known, outcome.facts.model)
  }
  if (outcome.bytes === 0 || outcome.ending === 'invalid') return nothingKnown
  return estimated(call, outcome)
}

/** Nobody said how many tokens it used. The cost of an estimate stays unknown where the provider has a bill that we have not seen. */
async function estimated(call: Call, outcome: ReplyOutcome, costPico: bigint | null = null): Promise<UsageOutcome> {
  const counted = await estimateTokens(call.request, { tail: outcome.tail(), bytes: outcome.bytes })
  const tokens: Tokens = { ...counted, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
  const known: Known = { tokens, usageSource: 'estimated' }
  return call.provider.reportsCost
    ? billed(call, known, costPico, 'provider')
    : byListPrice(call, known, outcome.facts.model)
}
