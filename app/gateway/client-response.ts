import type { ServerResponse } from 'node:http'
import { errorJson, type GatewayError } from './gateway-error.ts'

/** The caller's side of one call. Knows when the caller has gone, and never throws at somebody who has. */
export class ClientResponse {
  readonly #response: ServerResponse
  #callId: string
  #ended = false
  gone = false
  /** Where the reply sits that is read on should the caller leave before its end: a number, never the reply itself. */
  seat: number | null = null

  /** `onLeft` is told the seat of a reply whose caller left before its end. */
  constructor(response: ServerResponse, callId: string, onLeft: (seat: number) => void) {
    this.#response = response
    this.#callId = callId
    response.once('close', () => {
      if (this.#ended) return
      this.gone = true
      if (this.seat !== null) onLeft(this.seat)
    })
    response.on('error', () => {})
  }

  /** The call whose answer this is, by its id: another one where a call stands in for it. */
  answers(callId: string): void {
    this.#callId = callId
  }

  get begun(): boolean {
    return this.#response.headersSent
  }

  begin(headers: Record<string, string>): void {
    if (!this.gone)
      this.#response.writeHead(200, { 'x-keymargin-call-id': this.#callId, 'x-request-id': this.#callId, ...headers })
  }

  /** True: go on. False: wait for `onceDrained`. Bytes for a caller who has gone are dropped. */
  write(piece: Buffer): boolean {
    return this.gone || this.#response.write(piece)
  }

  onceDrained(resume: () => void): void {
    this.#response.once('drain', resume)
  }

  end(last?: Buffer): void {
    if (this.#ended) return
    this.#ended = true
    if (!this.gone) this.#response.end(last)
  }

  /** Answers an error, or breaks the connection where an answer has begun. */
  fail(error: GatewayError, headers: Record<string, string> = {}): void {
    if (this.#ended || this.gone) return
    if (this.begun) {
      this.sever()
      return
    }
    const body = errorJson(error, this.#callId)
    this.#ended = true
    this.#response.writeHead(error.status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
      'x-keymargin-call-id': this.#callId,
      'x-request-id': this.#callId,
      ...(error.retryAfterSeconds === null ? {} : { 'retry-after': String(error.retryAfterSeconds) }),
      ...headers,
    })
    this.#response.end(body)
  }

  sever(): void {
    if (this.#ended) return
    this.#ended = true
    this.#response.destroy()
  }
}
