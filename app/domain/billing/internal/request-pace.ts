/**
 * How fast one process asks one Stripe endpoint: 10 requests a second at first, halved by every 429, slowly raised by
 * success. Stripe's default limit is 25 per endpoint and second, shared with the vendor's own systems (stripe §2.9).
 */
const MAX_PER_SECOND = 10
const MIN_PER_SECOND = 0.5
const STEP_UP = 0.5

export class RequestPace {
  #perSecond = MAX_PER_SECOND
  #tokens = MAX_PER_SECOND
  #countedAt: number

  constructor(nowMs: number) {
    this.#countedAt = nowMs
  }

  /** Takes a place in the queue. @returns milliseconds to wait before asking */
  take(nowMs: number): number {
    const elapsed = Math.max(0, nowMs - this.#countedAt)
    this.#countedAt = nowMs
    this.#tokens = Math.min(MAX_PER_SECOND, this.#tokens + (elapsed / 1000) * this.#perSecond) - 1
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / this.#perSecond) * 1000)
  }

  limited(): void {
    this.#perSecond = Math.max(MIN_PER_SECOND, this.#perSecond / 2)
  }

  succeeded(): void {
    this.#perSecond = Math.min(MAX_PER_SECOND, this.#perSecond + STEP_UP)
  }
}
