import type { Dispatch } from '#app/domain/ledger/ledger.ts'
import type { PriceBook } from '#app/domain/pricing/pricing.ts'
import type { ModelRow } from '#app/domain/pricing/queries.server.ts'
import type { ProviderId } from '#app/domain/providers/providers.ts'
import type { ReplyFacts } from '#app/domain/providers/usage.ts'

/** A call that was admitted: everything about it that is fixed before the first byte goes out. */
export interface Call {
  dispatch: Dispatch
  provider: ProviderId
  model: ModelRow
  book: PriceBook
  promptTokensEstimate: number
  /** The provider key it goes out under; only for the request header, the generation lookup and scrubbing. */
  key: string
  /** Monotonic ms of its arrival. */
  arrivedAt: number
}

/**
 * How an upstream reply came to its end. `complete`: as it should. `cut`: broke in the middle. `silent`: sent, and nothing
 * came back. `unsent`: the provider was never reached. `refused`: an error status. `invalid`: not a reply to a chat request.
 */
export type Ending = 'complete' | 'cut' | 'silent' | 'unsent' | 'refused' | 'invalid'

export interface ReplyOutcome {
  ending: Ending
  /** Status that the provider answered. */
  httpStatus: number | null
  facts: ReplyFacts
  generationId: string | null
  /** Bytes of the reply that had arrived. */
  bytes: number
  firstByteMs: number | null
  clientGone: boolean
  errorCode: string | null
}
