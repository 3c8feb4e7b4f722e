import { type ReplyFacts, readStreamTail } from '#app/domain/providers/usage.ts'
import type { ClientResponse } from './client-response.ts'
import { errorJson, type GatewayError } from './gateway-error.ts'
import type { KeyScrub } from './key-scrub.ts'
import { ReplyTail } from './reply-tail.ts'
import { StreamEnd } from './stream-end.ts'

/** A stream longer than this is broken off, in bytes. */
const longestStream = 256 * 1024 * 1024

/**
 * Relays an event stream as it arrives, byte for byte. Only from the end mark or an error on are pieces held back, until
 * the call is in the ledger; holding every newest piece instead would delay each token by one.
 */
export class StreamRelay {
  readonly #client: ClientResponse
  readonly #headers: Record<string, string>
  readonly #scrub: KeyScrub
  readonly #tail = new ReplyTail()
  readonly #end = new StreamEnd()
  #held: Buffer[] = []
  #lastSent: Buffer | null = null
  #holding = false
  /** The end mark has passed: nothing that follows changes the call. */
  ended = false

  constructor(client: ClientResponse, headers: Record<string, string>, scrub: KeyScrub) {
    this.#client = client
    this.#headers = headers
    this.#scrub = scrub
  }

  get total(): number {
    return this.#tail.total
  }

  /** An error has passed: what follows is held back, and is not much. */
  get failed(): boolean {
    return this.#holding && !this.ended
  }

  get tooLong(): boolean {
    return this.#tail.total > longestStream
  }

  /** False: the client is slow, wait. */
  push(piece: Buffer): boolean {
    if (this.ended) return this.#hold(piece)
    this.#tail.push(piece)
    const sign = this.#end.sign(piece)
    this.ended = sign?.kind === 'end'
    if (this.#holding) return this.#hold(piece)
    if (sign === null) return this.#send(piece)
    this.#holding = true
    if (sign.at > 0) this.#send(piece.subarray(0, sign.at))
    return this.#hold(piece.subarray(sign.at))
  }

  #hold(piece: Buffer): boolean {
    this.#held.push(this.#scrub.pass(piece))
    return true
  }

  #send(piece: Buffer): boolean {
    const clean = this.#scrub.pass(piece)
    if (clean.length === 0) return true
    if (!this.#client.begun) this.#client.begin(this.#headers)
    this.#lastSent = clean
    return this.#client.write(clean)
  }

  facts(): ReplyFacts {
    return readStreamTail(this.#tail.text())
  }

  /** Sends what is held and ends. Called when the call is in the ledger. */
  finish(): void {
    const rest = this.#scrub.rest()
    if (rest) this.#held.push(rest)
    if (!this.#client.begun) this.#client.begin(this.#headers)
    this.#client.end(this.#held.length === 0 ? undefined : Buffer.concat(this.#held))
    this.#held = []
  }

  /**
   * Tells the client that the stream broke: with an error event where the last event was whole, so that a client sees a
   * message instead of a dead socket, and by breaking the connection where it was not.
   */
  breakOff(error: GatewayError, callId: string): void {
    const sent = this.#lastSent
    const whole =
      sent !== null &&
      this.#scrub.rest() === null &&
      /(?:\n\n|\r\n\r\n|\r\r)$/.test(sent.subarray(-4).toString('latin1'))
    if (whole) this.#client.end(Buffer.from(`data: ${errorJson(error, callId)}\n\n`))
    else this.#client.sever()
  }
}
