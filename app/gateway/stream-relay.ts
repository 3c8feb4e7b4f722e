import { readStreamTail } from '#app/domain/providers/stream-usage.ts'
import type { ReplyFacts } from '#app/domain/providers/usage.ts'
import type { ClientResponse } from './client-response.ts'
import { errorJson, type GatewayError } from './gateway-error.ts'
import type { SecretScrub } from './key-scrub.ts'
import { readLastEvents } from './reply-members.ts'
import { ReplyTail } from './reply-tail.ts'
import { ResponsesEnd } from './responses-end.ts'
import { StreamEnd } from './stream-end.ts'
import { WholeEvents, withoutUsageEvents } from './whole-events.ts'

/** A stream longer than this is broken off, in bytes; so is one whose last event, held until it is whole, is longer than that. */
const longestStream = 256 * 1024 * 1024
const longestHeld = 32 * 1024 * 1024

/** How an event's data begins, in a stream's bytes read as Latin 1: at the start of a line, or behind a byte order mark. */
const dataLine = /(?:^|[\r\n]|\xef\xbb\xbf)data:/
/** Characters that the beginning of such a line may stand in from the piece before. */
const carried = 8

export interface StreamKind {
  /** Responses end with an event of their own, chats with `[DONE]`. */
  responses: boolean
  /** Events that only tell the usage are taken out. */
  hidesUsage: boolean
}

/**
 * Relays an event stream as it arrives, byte for byte. Only from the end mark, the last event or an error on are pieces
 * held back, until the call is in the ledger; holding every newest piece instead would delay each token by one.
 */
export class StreamRelay {
  readonly #client: ClientResponse
  readonly #headers: Record<string, string>
  readonly #scrub: SecretScrub
  readonly #kind: StreamKind
  readonly #tail = new ReplyTail()
  readonly #end: StreamEnd | ResponsesEnd
  readonly #events: WholeEvents | null
  #held: Buffer[] = []
  #heldBytes = 0
  #lastSent: Buffer | null = null
  #holding = false
  /** Until the first event: the end of what came before. Null: an event has come. */
  #silence: string | null = '\n'
  /** The end mark has passed: nothing that follows changes the call. */
  ended = false

  constructor(client: ClientResponse, headers: Record<string, string>, scrub: SecretScrub, kind: StreamKind) {
    this.#client = client
    this.#headers = headers
    this.#scrub = scrub
    this.#kind = kind
    this.#end = kind.responses ? new ResponsesEnd() : new StreamEnd()
    this.#events = kind.responses || kind.hidesUsage ? new WholeEvents() : null
  }

  /** Bytes of a stream that says something; 0 while it holds no event, however many comments, blank lines or pages of HTML. */
  get total(): number {
    return this.#silence === null ? this.#tail.total : 0
  }

  #listen(piece: Buffer): void {
    if (this.#silence === null) return
    const text = this.#silence + piece.toString('latin1')
    this.#silence = dataLine.test(text) ? null : text.slice(-carried)
  }

  /** An error or the last event has passed: what follows is held back, and is not much. */
  get closing(): boolean {
    return this.#holding && !this.ended
  }

  get tooLong(): boolean {
    return this.#tail.total > longestStream || this.#heldBytes > longestHeld
  }

  /** False: the client is slow, wait. */
  push(piece: Buffer): boolean {
    if (this.ended) return this.#hold(piece)
    this.#tail.push(piece)
    this.#listen(piece)
    return this.#events ? this.#pass(this.#visible(this.#events.take(piece))) : this.#pass(piece)
  }

  #visible(events: Buffer): Buffer {
    return this.#kind.hidesUsage ? withoutUsageEvents(events) : events
  }

  #pass(piece: Buffer): boolean {
    if (piece.length === 0) return true
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
    this.#heldBytes += piece.length
    return true
  }

  #send(piece: Buffer): boolean {
    const clean = this.#scrub.pass(piece)
    if (clean.length === 0) return true
    if (!this.#client.begun) this.#client.begin(this.#headers)
    this.#lastSent = clean
    return this.#client.write(clean)
  }

  /** The upstream is over: an event whose blank line never came is an event all the same. */
  close(): void {
    const rest = this.#events?.rest()
    if (rest && this.#silence === null) this.#pass(this.#visible(rest))
  }

  /** The end of the stream as it came in, before anything was taken out. */
  tail(): string {
    return this.#tail.text()
  }

  facts(): ReplyFacts {
    if (!this.#kind.responses || this.#held.length === 0) return readStreamTail(this.#tail.text())
    return readLastEvents(Buffer.concat(this.#held).toString('utf8'))
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
    const name = this.#kind.responses ? 'event: error\n' : ''
    if (whole) this.#client.end(Buffer.from(`${name}data: ${errorJson(error, callId)}\n\n`))
    else this.#client.sever()
  }
}
