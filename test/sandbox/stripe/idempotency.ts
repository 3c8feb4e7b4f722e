import { createHash } from 'node:crypto'
import { StripeApiError } from './errors.ts'
import type { StoredAnswer } from './records.ts'
import type { World } from './world.ts'

const KEPT_MS = 24 * 60 * 60 * 1000

/**
 * The first answer to a key, failures of the execution included, for 24 hours of sandbox clock (stripe §1.5 rule 1).
 * Refusals before execution (validation, account-wide 429) are not kept, so the same key may be used again.
 */
export class IdempotencyStore {
  readonly #world: World
  readonly #running = new Set<string>()

  constructor(world: World) {
    this.#world = world
  }

  /** @returns the stored answer. @throws StripeApiError 409 while the first request runs, 400 when the request differs. */
  lookUp(key: string, fingerprint: string): StoredAnswer | undefined {
    this.#prune()
    if (this.#running.has(key)) {
      const message = 'There is currently another in-progress request using this Stripe-Idempotency-Key.'
      throw new StripeApiError(409, 'idempotency_error', message, { code: 'idempotency_key_in_use' })
    }
    const stored = this.#world.state.answers[key]
    if (stored && stored.fingerprint !== fingerprint) {
      const message = `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`
      throw new StripeApiError(400, 'idempotency_error', message)
    }
    return stored
  }

  begin(key: string): void {
    this.#running.add(key)
  }

  end(key: string, answer?: Omit<StoredAnswer, 'storedAt'>): void {
    this.#running.delete(key)
    if (answer) this.#world.state.answers[key] = { ...answer, storedAt: this.#world.now() }
  }

  #prune(): void {
    const { answers } = this.#world.state
    for (const [key, answer] of Object.entries(answers)) {
      if (this.#world.now() - answer.storedAt > KEPT_MS) delete answers[key]
    }
  }
}

export function fingerprintOf(method: string, pathname: string, body: string): string {
  return createHash('sha256').update(`${method} ${pathname}\n${body}`).digest('hex')
}
