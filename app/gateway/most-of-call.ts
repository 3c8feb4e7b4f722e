import type { Dispatch } from '#app/domain/ledger/ledger.ts'
import { type PriceBook, priceTokens, shareOf, type TierPrice, tierPricePico } from '#app/domain/pricing/pricing.ts'
import type { Provider } from '#app/domain/providers/provider.ts'
import { memberText } from '#app/platform/json-members.ts'
import type { Pico } from '#app/platform/pico.ts'
import { heldInputTokens } from './held-input.ts'
import type { InferenceRequest } from './inference-request.ts'

/** Output that is set aside for a call that names no limit of its own, where it is given none, in tokens. */
export const outputSetAside = 4_096

/** What a provider may go by; where a request names several, it is not ours to say which. Of another endpoint's it knows nothing. */
export const limitNames: Record<InferenceRequest['endpoint'], readonly string[]> = {
  chat: ['max_completion_tokens', 'max_tokens'],
  responses: ['max_output_tokens'],
  embeddings: [],
  rerank: [],
}

function countOf({ bytes, members }: InferenceRequest, name: string): number | null {
  const member = members.get(name)
  const count = member ? Number(memberText(bytes, member)) : 0
  return Number.isSafeInteger(count) && count > 0 ? count : null
}

/** The largest of the limits that a request names for one answer, in tokens; null where it names none. */
export function namedLimit(request: InferenceRequest): number | null {
  const limits = limitNames[request.endpoint].flatMap((name) => countOf(request, name) ?? [])
  return limits.length ? Math.max(...limits) : null
}

/**
 * The limit of a request that names only the newer of a chat's names, at a host that may pass over it: the reply would be as long
 * as the model likes, and no more is held for it than the limit says. Null: the name is known there.
 */
export function renamedLimit(request: InferenceRequest, { limitName, routes }: Provider): number | null {
  const isTranslated = (routes.chat?.dialect ?? 'openai') !== 'openai'
  if (request.endpoint !== 'chat' || limitName !== 'max_tokens' || isTranslated) return null
  return countOf(request, 'max_tokens') === null ? countOf(request, 'max_completion_tokens') : null
}

/** What a model that thinks in a budget of its own is given at least where the request says only how hard to think, in tokens. */
const leastThinking = 1_024

/**
 * The budget for thinking that a chat names beside no limit for its answer (`reasoning.max_tokens`, Anthropic's
 * `thinking.budget_tokens`), in tokens; a small one where it only asks for thinking; 0 where it asks for none.
 */
export function thinkingTokens({ endpoint, bytes, members }: InferenceRequest): number {
  if (endpoint !== 'chat') return 0
  const textOf = (name: string) => {
    const member = members.get(name)
    return member ? memberText(bytes, member) : undefined
  }
  const budgets = [
    /"max_tokens"\s*:\s*(\d{1,9})\b/.exec(textOf('reasoning') ?? ''),
    /"budget_tokens"\s*:\s*(\d{1,9})\b/.exec(textOf('thinking') ?? ''),
  ]
  const asks = ['reasoning', 'reasoning_effort', 'thinking'].some((name) => members.has(name))
  return Math.max(asks ? leastThinking : 0, ...budgets.map((found) => Number(found?.[1] ?? 0)))
}

/** The output that a request allows, of all the answers it asks for, in tokens; null where neither it nor `given` limits it. */
export function allowedOutput(request: InferenceRequest, given: number | null): bigint | null {
  const limit = namedLimit(request) ?? given
  const answers = request.endpoint === 'chat' ? (countOf(request, 'n') ?? 1) : 1
  return limit === null ? null : BigInt(limit) * BigInt(answers)
}

function outputTokens(request: InferenceRequest, given: number | null): bigint {
  return limitNames[request.endpoint].length === 0 ? 0n : (allowedOutput(request, given ?? outputSetAside) ?? 0n)
}

export interface MostOf {
  /** For the customer: on the invoice or from credits. */
  chargePico: Pico
  /** At the provider, for whoever's key pays. */
  costPico: Pico
}

export interface MostQuestion {
  dispatch: Pick<Dispatch, 'chargeMode' | 'markupBp' | 'tier'>
  request: InferenceRequest
  book: PriceBook
  /** What the provider lists for the model; null: nobody knows, and nothing can be set aside for it. */
  list: TierPrice | null
  /** The limit per answer that the gateway adds where the request names none, in tokens. */
  outputLimit?: number | null
  /** Tokens of the input, where they were counted already. */
  inputTokens?: number
}

/** What a call may come to: its input as estimated, and all the output it may ask for. */
export function mostOfCall({ dispatch, request, book, list, outputLimit = null, inputTokens }: MostQuestion): MostOf {
  const tokens = {
    inputTokens: BigInt(inputTokens ?? heldInputTokens(request)),
    outputTokens: outputTokens(request, outputLimit),
  }
  const costPico = list ? priceTokens(list, tokens) : 0n
  const { chargeMode, markupBp, tier } = dispatch
  if (chargeMode === 'pass_through' || chargeMode === 'flat_fee') return { chargePico: 0n, costPico }
  if (chargeMode === 'markup') return { chargePico: shareOf(costPico, markupBp ?? 0), costPico }
  return { chargePico: tier === 'none' ? 0n : tierPricePico(book, tier, tokens), costPico }
}
