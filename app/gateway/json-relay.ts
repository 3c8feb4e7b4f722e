import type { ReplyFacts, UsageShape } from '#app/domain/providers/usage.ts'
import type { ClientResponse } from './client-response.ts'
import type { SecretScrub } from './key-scrub.ts'
import { readJsonReply } from './reply-members.ts'

/** A plain answer up to this size is held until it is whole, so that half of one becomes a clean 502. In bytes. */
const heldWhole = 1024 * 1024
/** A larger one than this is broken off. */
const largestReply = 32 * 1024 * 1024

/** Relays a plain JSON answer. Small answers go out whole with the end; large ones flow, the last piece held back. */
export class JsonRelay {
  readonly #client: ClientResponse
  readonly #headers: Record<string, string>
  readonly #scrub: SecretScrub
  readonly #shape: UsageShape
  readonly #pieces: Buffer[] = []
  #unsent: Buffer[] = []
  total = 0

  constructor(client: ClientResponse, headers: Record<string, string>, scrub: SecretScrub, shape: UsageShape) {
    this.#shape = shape
    this.#client = client
    this.#headers = headers
    this.#scrub = scrub
  }

  get tooLong(): boolean {
    return this.total > largestReply
  }

  /** False: the client is slow, wait. */
  push(piece: Buffer): boolean {
    this.#pieces.push(piece)
    this.total += piece.length
    this.#unsent.push(this.#scrub.pass(piece))
    return this.total <= heldWhole || this.#flow()
  }

  #flow(): boolean {
    if (!this.#client.begun) this.#client.begin(this.#headers)
    const last = this.#unsent.pop()
    const going = this.#unsent
    this.#unsent = last ? [last] : []
    let goOn = true
    for (const piece of going) goOn = this.#client.write(piece) && goOn
    return goOn
  }

  facts(): ReplyFacts | null {
    return readJsonReply(this.body(), this.#shape)
  }

  body(): Buffer {
    return this.#pieces.length === 1 && this.#pieces[0] ? this.#pieces[0] : Buffer.concat(this.#pieces)
  }

  /** The reply so far, for an estimate. */
  tail(): string {
    return this.body().toString('utf8')
  }

  /** Sends what is still held. Called when the call is in the ledger. */
  finish(): void {
    const rest = this.#scrub.rest()
    if (rest) this.#unsent.push(rest)
    const last = this.#unsent.length === 1 && this.#unsent[0] ? this.#unsent[0] : Buffer.concat(this.#unsent)
    if (!this.#client.begun) this.#client.begin({ ...this.#headers, 'content-length': String(last.length) })
    this.#client.end(last)
  }
}
