import type { Dispatch } from '#app/domain/ledger/ledger.ts'
import type { PriceBook, TierPrice } from '#app/domain/pricing/pricing.ts'
import type { ModelRow } from '#app/domain/pricing/queries.server.ts'
import type { Credential } from '#app/domain/providers/credential.ts'
import type { Dialect } from '#app/domain/providers/dialects/dialect.ts'
import type { Provider } from '#app/domain/providers/provider.ts'
import type { ReplyFacts } from '#app/domain/providers/usage.ts'
import type { Pico } from '#app/platform/pico.ts'
import type { InferenceRequest } from './inference-request.ts'
import type { MostOf } from './most-of-call.ts'

/** A call that was admitted: everything about it that is fixed before the first byte goes out. */
export interface Call {
  dispatch: Dispatch
  provider: Provider
  /** The model's id at the provider. */
  upstreamModel: string
  request: InferenceRequest
  /** What goes to the provider, and the format it speaks where that is not OpenAI's. */
  body: Buffer
  dialect: Dialect | null
  /** The usage event was asked for by the gateway, not by the client: it is taken out of the stream again. */
  hidesUsage: boolean
  /** The workspace's epoch that all this was decided under. */
  keyEpoch: bigint
  /** What the provider lists for the model, where the catalogue knows: the measure of what can be believed of its bill. */
  list: TierPrice | null
  book: PriceBook
  /** What it may come to; null where neither credits nor hard budgets apply. */
  most: MostOf | null
  /** Tokens per answer that the gateway limits it to, since it names no limit and something is set aside for it. */
  outputLimit: number | null
  /** With less room it goes out with a smaller limit. */
  canShrink: boolean
  /** To be called when its attempt is written, or was not. */
  isWritten: () => void
  /** The provider key it goes out under; only for the request's headers, the generation lookup and scrubbing. */
  credential: Credential
  /** Monotonic ms of its arrival. */
  arrivedAt: number
  /** The workspace has asked for the platform key to stand in where this call is refused with 429 or 5xx. */
  standIn: StandIn | null
}

export interface StandIn {
  /** What stand-ins on this surface may be charged in a UTC day. */
  capPico: Pico
  /** The model as the platform's provider lists it. */
  hosted: ModelRow | null
  admit: () => Promise<Call>
}

/**
 * How an upstream reply came to its end. `complete`: as it should. `cut`: broke in the middle. `silent`: sent, and nothing
 * came back. `unsent`: the provider was never reached. `refused`: an error status. `invalid`: not a reply to this request.
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
  /** What the provider said of a refusal, cleaned; null for everything else. */
  refusalText: string | null
  /** The end of the reply in OpenAI's format, for an estimate where no usage was reported. */
  tail: () => string
}
