/** How long a reply may stay open after it has said that it is over, in ms. */
const endGraceMs = 1_000

/**
 * The end of a client's answer. It is held until the call is in the ledger and the provider has said all it had to say. A provider
 * that stays on the line after its last word is hung up on: it must not keep the client waiting, nor go on filling memory.
 */
export class HeldAnswer {
  readonly #hangUp: () => void
  #answer: (() => void) | null = null
  #closing: NodeJS.Timeout | null = null
  /** The provider is done: its reply ended or broke off. */
  upstreamDone = false

  constructor(hangUp: () => void) {
    this.#hangUp = hangUp
  }

  /** In the ledger, and not given yet: the provider still talks. */
  get isHeld(): boolean {
    return this.#answer !== null
  }

  /** Nothing but the end was to come. */
  get closing(): boolean {
    return this.#closing !== null
  }

  /** After an error or the last event nothing is to come but the end. */
  expectEnd(): void {
    this.#closing ??= setTimeout(this.#hangUp, endGraceMs).unref()
  }

  /** The call is in the ledger. */
  give(answer: () => void): void {
    this.#answer = answer
    this.ifDue()
    if (!this.upstreamDone) setTimeout(() => this.upstreamDone || this.#hangUp(), endGraceMs).unref()
  }

  /** To be called when the provider is done. */
  ifDue(): void {
    if (!this.#answer || !this.upstreamDone) return
    const answer = this.#answer
    this.#answer = null
    answer()
  }
}
