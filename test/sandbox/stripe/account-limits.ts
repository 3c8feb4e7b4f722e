/** The account's limits: requests per operation and second, and a subscription's invoices (stripe §2.9). Off unless switched on. */
import { StripeApiError } from './errors.ts'
import type { World } from './world.ts'

/** Per subscription: invoices a minute and a day. */
const PER_MINUTE = 10
const PER_DAY = 20

export class AccountLimits {
  /** How many requests were refused. */
  refused = 0
  readonly #world: World
  readonly #seen = new Map<string, number[]>()

  constructor(world: World) {
    this.#world = world
  }

  /** Counts one request in real time. @throws StripeApiError 429 `rate_limit`, which is not stored under any key. */
  admit(operation: string): void {
    const most = this.#world.state.settings.requestsPerSecond
    if (most === null) return
    const now = performance.now()
    const recent = (this.#seen.get(operation) ?? []).filter((at) => now - at < 1_000)
    if (recent.length < most) recent.push(now)
    else this.#refuse()
    this.#seen.set(operation, recent)
  }

  #refuse(): never {
    this.refused += 1
    const detail = { code: 'rate_limit' }
    throw new StripeApiError(429, 'invalid_request_error', 'Too many requests in too short a time.', detail)
  }
}

/** @throws StripeApiError 429 where the subscription has had its invoices of this minute or day. */
export function requireInvoiceAllowed(world: World, subscription: string): void {
  if (world.state.settings.requestsPerSecond === null) return
  const now = world.seconds()
  const made = Object.values(world.state.invoices).filter((invoice) => invoice.subscription === subscription)
  const since = (seconds: number) => made.filter((invoice) => now - invoice.created < seconds).length
  if (since(60) < PER_MINUTE && since(86_400) < PER_DAY) return
  const detail = { code: 'rate_limit' }
  throw new StripeApiError(429, 'invalid_request_error', 'This subscription has too many invoices.', detail)
}
