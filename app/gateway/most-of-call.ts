import type { Dispatch } from '#app/domain/ledger/ledger.ts'
import { type PriceBook, priceTokens, shareOf, type TierPrice, tierPricePico } from '#app/domain/pricing/pricing.ts'
import type { Pico } from '#app/platform/pico.ts'
import type { InferenceRequest } from './inference-request.ts'
import { memberText } from './json-members.ts'

/** Output that is set aside for a call that names no limit of its own, in tokens. */
const outputSetAside = 4_096

/** What a provider may go by; where a request names several, it is not ours to say which. Of another endpoint's it knows nothing. */
const limitNames: Record<InferenceRequest['endpoint'], readonly string[]> = {
  chat: ['max_completion_tokens', 'max_tokens'],
  responses: ['max_output_tokens'],
  embeddings: [],
  rerank: [],
}

function countOf({ bytes, members }: InferenceRequest, name: string): bigint | null {
  const member = members.get(name)
  const count = member ? Number(memberText(bytes, member)) : 0
  return Number.isSafeInteger(count) && count > 0 ? BigInt(count) : null
}

/** The output that a request allows, of all the answers it asks for, in tokens. */
function outputLimit(request: InferenceRequest): bigint {
  const names = limitNames[request.endpoint]
  if (names.length === 0) return 0n
  const limits = names.flatMap((name) => countOf(request, name) ?? [])
  const largest = limits.reduce((most, limit) => (limit > most ? limit : most), 0n) || BigInt(outputSetAside)
  return largest * (request.endpoint === 'chat' ? (countOf(request, 'n') ?? 1n) : 1n)
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
}

/** What a call may come to: its input as estimated, and all the output it may ask for. */
export function mostOfCall({ dispatch, request, book, list }: MostQuestion): MostOf {
  const tokens = { inputTokens: BigInt(request.promptTokensEstimate), outputTokens: outputLimit(request) }
  const costPico = list ? priceTokens(list, tokens) : 0n
  const { chargeMode, markupBp, tier } = dispatch
  if (chargeMode === 'pass_through' || chargeMode === 'flat_fee') return { chargePico: 0n, costPico }
  if (chargeMode === 'markup') return { chargePico: shareOf(costPico, markupBp ?? 0), costPico }
  return { chargePico: tier === 'none' ? 0n : tierPricePico(book, tier, tokens), costPico }
}
