/**
 * What is known after a request that brought no answer of use. Only `refused` and `mismatch` are answers; after all others
 * the same request is sent again later, under the same key.
 * - `unknown` it may have been executed (timeout, cut socket, 5xx, an answer that is not Stripe's)
 * - `rate_limited` 429 · `key_in_use` 409, the same request runs elsewhere
 * - `mismatch` the key was used with other parameters: a bug of ours · `refused` any other 4xx
 */
type StripeOutcome = 'unknown' | 'rate_limited' | 'key_in_use' | 'mismatch' | 'refused'

export interface StripeFailure {
  outcome: StripeOutcome
  /** Stripe's own code where it gave one, else the error's type. */
  code: string
  param: string | undefined
  status: number | undefined
  /** Stripe answered from its idempotency store: sending the same key again will fail the same way (stripe §2.3). */
  replayed: boolean
  requestId: string | undefined
}

/** A failed call to Stripe. Its message names the call and the code; it never holds parameters, headers or bodies. */
export class StripeCallError extends Error {
  readonly failure: StripeFailure

  constructor(call: string, failure: StripeFailure) {
    super(`Stripe ${call}: ${failure.outcome} (${failure.code}${failure.status ? `, ${failure.status}` : ''})`)
    this.name = 'StripeCallError'
    this.failure = failure
  }

  /** Nothing happened and the key is spent: another key is needed, after looking whether the object exists after all. */
  get isSpentKey(): boolean {
    const { outcome, code, replayed } = this.failure
    if (!replayed) return false
    return outcome === 'unknown' || outcome === 'rate_limited' || code === 'lock_timeout'
  }
}
