import type { ReplyTranslator } from '#app/domain/providers/dialects/dialect.ts'
import type { ReplyController, ReplyHandler, ReplyHeaders } from '#app/domain/providers/dispatch-call.server.ts'
import { isGenerationId } from '#app/domain/providers/fetch-generation.server.ts'
import { noFacts, type ReplyFacts } from '#app/domain/providers/usage.ts'
import type { Call, Ending, ReplyOutcome } from './call.ts'
import type { ClientResponse } from './client-response.ts'
import type { GatewayError } from './gateway-error.ts'
import { HeldAnswer } from './held-answer.ts'
import type { JsonRelay } from './json-relay.ts'
import { callHeaders, generationIn, modeOf, type ReplyMode } from './reply-mode.ts'
import type { StreamRelay } from './stream-relay.ts'
import { errorInReply, invalidReply, noReply, refusalError } from './upstream-error.ts'

/** Text of a refusal beyond this is not read, in bytes. */
const longestRefusal = 64 * 1024
/** A plain reply that must be translated is read whole, and no further than this. */
const longestWhole = 32 * 1024 * 1024

/** What the call is told about its reply, once each: the first byte, and how it ended. */
export interface ReplyEvents {
  onFirstByte: (generationId: string | null) => void
  /** `answer` completes the client's side; it must not be called before the outcome is in the ledger. */
  onEnded: (outcome: ReplyOutcome, answer: () => void) => void
}

/** Hears one upstream reply and passes it on as it arrives. Decides how it ended, exactly once. */
export class UpstreamReply implements ReplyHandler {
  readonly #call: Call
  readonly #client: ClientResponse
  readonly #events: ReplyEvents
  readonly #translator: ReplyTranslator | null
  #controller: ReplyController | null = null
  #mode: ReplyMode | null = null
  #gathered: Buffer[] = []
  #whole: Buffer[] = []
  #wholeBytes = 0
  #aborting = false
  #httpStatus: number | null = null
  #headers: ReplyHeaders = {}
  #generationId: string | null = null
  #firstByteMs: number | null = null
  /** The reply broke its own format, which is worse than breaking off. */
  #malformed = false
  #over = false
  readonly #answer = new HeldAnswer(() => this.abandon())

  constructor(call: Call, client: ClientResponse, events: ReplyEvents) {
    this.#call = call
    this.#client = client
    this.#events = events
    const { id, dispatchedAt } = call.dispatch
    this.#translator =
      call.dialect?.replies({
        model: call.request.model,
        callId: id,
        created: Math.floor(dispatchedAt.getTime() / 1000),
      }) ?? null
  }

  get bytes(): number {
    return this.#relay?.total ?? 0
  }

  get generationId(): string | null {
    return this.#generationId
  }

  get #relay(): StreamRelay | JsonRelay | null {
    return this.#mode?.kind === 'stream' || this.#mode?.kind === 'json' ? this.#mode.relay : null
  }

  get #stream(): StreamRelay | null {
    return this.#mode?.kind === 'stream' ? this.#mode.relay : null
  }

  onRequestStart(controller: ReplyController): void {
    this.#controller = controller
  }

  onResponseStart(_controller: ReplyController, status: number, headers: ReplyHeaders): void {
    if (status < 200) return
    this.#httpStatus = status
    this.#headers = headers
    this.#generationId = generationIn(this.#call, headers)
    this.#mode = modeOf(this.#call, this.#client, { status, headers, generationId: this.#generationId })
  }

  onResponseData(_controller: ReplyController, piece: Buffer): void {
    if (this.#firstByteMs === null) {
      this.#firstByteMs = Math.round(performance.now() - this.#call.arrivedAt)
      if (this.#relay) this.#events.onFirstByte(this.#generationId)
    }
    if (this.#stream) this.#gather(piece)
    else if (this.#mode?.kind === 'json' && !this.#translator) this.#pass(piece)
    else this.#collect(piece)
  }

  // Providers write many small events, and one read of the socket brings several. What one read brought is looked at and
  // passed on once, as soon as the read is over: the same moment for the client, a fraction of the work.
  #gather(piece: Buffer): void {
    this.#gathered.push(piece)
    if (this.#gathered.length === 1) queueMicrotask(() => this.#passOn())
  }

  #passOn(): void {
    const pieces = this.#gathered
    if (!this.#stream || pieces.length === 0) return
    this.#gathered = []
    const piece = pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)
    const translated = this.#translated(piece)
    if (translated && translated.length > 0) this.#pass(translated)
  }

  /** The piece in OpenAI's format; null where it is not in the provider's. */
  #translated(piece: Buffer): Buffer | null {
    if (!this.#translator) return piece
    if (this.#malformed) return null
    try {
      return this.#translator.push(piece)
    } catch {
      this.#malformed = true
      if (!this.#answer.upstreamDone) this.abandon()
      return null
    }
  }

  #pass(piece: Buffer): void {
    const relay = this.#relay
    if (!relay || (this.#over && !this.#answer.isHeld && !this.#stream?.ended)) return
    const goOn = relay.push(piece)
    if (relay.tooLong) this.abandon()
    else if (this.#stream?.ended) this.#settleStream(this.#stream)
    else if (this.#stream?.closing) this.#answer.expectEnd()
    else if (!goOn && !this.#client.gone) {
      this.#controller?.pause()
      this.#client.onceDrained(() => this.#controller?.resume())
    }
  }

  /** Gathers what is read whole: refusals, and plain replies that must be translated. */
  #collect(piece: Buffer): void {
    this.#wholeBytes += piece.length
    const most = this.#mode?.kind === 'json' ? longestWhole : longestRefusal
    if (this.#wholeBytes <= most) this.#whole.push(piece)
    else if (this.#mode?.kind === 'json' || this.#wholeBytes > 16 * longestRefusal) this.abandon()
  }

  onResponseEnd(): void {
    this.#passOn()
    this.#answer.upstreamDone = true
    this.#endMode()
    this.#answer.ifDue()
  }

  #endMode(): void {
    if (this.#malformed) this.#settleInvalid('answered with something that is not its own format')
    else if (this.#mode?.kind === 'stream') {
      this.#mode.relay.close()
      if (this.#endedEarly(this.#mode.relay)) this.#settleBroken(new Error('gateway: no end mark'))
      else this.#settleStream(this.#mode.relay)
    } else if (this.#mode?.kind === 'json') this.#settleJson(this.#mode.relay)
    else if (this.#mode?.kind === 'refusal') this.#settleRefusal()
    else this.#settleInvalid(this.#mode?.what ?? 'answered with nothing')
  }

  /**
   * A translated stream is whole only with its provider's own end mark: a connection closed politely before it would look
   * like a short answer. OpenAI-compatible hosts are not held to theirs, since some never send it (security item 132).
   */
  #endedEarly(relay: StreamRelay): boolean {
    return this.#translator !== null && !this.#translator.ended && !relay.closing && relay.total > 0
  }

  onResponseError(_controller: ReplyController, error: Error): void {
    if (!this.#aborting) this.#passOn()
    this.#answer.upstreamDone = true
    if (this.#mode?.kind === 'refusal' || this.#mode?.kind === 'invalid') this.#endMode()
    else if (this.#answer.closing && this.#stream)
      this.#endMode() // it had said its last word, and stayed on the line
    else this.#settleBroken(error)
    this.#answer.ifDue()
  }

  /** Stops listening to a reply that nobody is to wait for any longer. */
  abandon(): void {
    this.#aborting = true
    this.#controller?.abort(new Error('gateway: abandoned'))
  }

  /** The caller has gone: the reply is read to its end all the same, without waiting for anybody to take it. */
  drain(): void {
    this.#controller?.resume()
  }

  #settleStream(relay: StreamRelay): void {
    if (this.#over) return
    if (relay.total === 0) {
      this.#settleInvalid('answered with an empty stream')
      return
    }
    const facts = relay.facts()
    this.#nameGeneration(facts)
    this.#settle('complete', facts.errorCode, facts, () => relay.finish())
  }

  #settleJson(relay: JsonRelay): void {
    if (this.#over) return
    if (this.#translator) {
      const translated = this.#translator.whole(Buffer.concat(this.#whole))
      if (translated) relay.push(translated)
    }
    const facts = relay.total > 0 ? relay.facts() : null
    if (facts === null) {
      this.#settleInvalid('answered with something else than what was asked for')
      return
    }
    this.#nameGeneration(facts)
    this.#settle('complete', facts.errorCode, facts, () => {
      if (facts.failed)
        this.#client.fail(
          errorInReply(this.#call, this.#refusal(200, relay.body().toString('utf8'))),
          callHeaders(this.#call),
        )
      else relay.finish()
    })
  }

  #nameGeneration({ generationId }: ReplyFacts): void {
    if (generationId !== null && isGenerationId(generationId)) this.#generationId ??= generationId
  }

  #settleRefusal(): void {
    const bytes = Buffer.concat(this.#whole)
    const body = this.#translator?.error(bytes) ?? bytes.toString('utf8')
    const error = refusalError(this.#call, this.#refusal(this.#httpStatus ?? 502, body))
    this.#fail('refused', error)
  }

  #refusal(status: number, body: string) {
    return { status, body, retryAfter: this.#headers['retry-after'], now: new Date() }
  }

  #settleInvalid(what: string): void {
    const error = invalidReply(this.#call, what)
    if (this.#client.begun) this.#settle('invalid', error.code, this.#factsSoFar(), () => this.#breakOff(error))
    else this.#fail('invalid', error)
  }

  #factsSoFar(): ReplyFacts {
    return this.#stream && this.#stream.total > 0 ? this.#stream.facts() : noFacts
  }

  #settleBroken(error: Error): void {
    if (this.#malformed) {
      this.#settleInvalid('answered with something that is not its own format')
      return
    }
    const ending: Ending = this.#mode ? 'cut' : this.#controller ? 'silent' : 'unsent'
    const told = noReply(this.#call, error, ending === 'unsent')
    const facts = this.#factsSoFar()
    this.#nameGeneration(facts)
    this.#settle(ending, told.code, facts, () => this.#breakOff(told))
  }

  #breakOff(told: GatewayError): void {
    if (this.#stream && this.#client.begun) this.#stream.breakOff(told, this.#call.dispatch.id)
    else this.#client.fail(told, callHeaders(this.#call))
  }

  #fail(ending: Ending, error: GatewayError): void {
    const text = ending === 'refused' ? error.message : null
    this.#settle(ending, error.code, noFacts, () => this.#client.fail(error, callHeaders(this.#call)), text)
  }

  #settle(
    ending: Ending,
    errorCode: string | null,
    facts: ReplyFacts,
    answer: () => void,
    refusalText: string | null = null,
  ): void {
    if (this.#over) return
    this.#over = true
    const relay = this.#relay
    const outcome: ReplyOutcome = {
      ending,
      httpStatus: this.#httpStatus,
      facts,
      generationId: this.#generationId,
      bytes: this.bytes,
      firstByteMs: this.#firstByteMs,
      clientGone: this.#client.gone,
      errorCode,
      refusalText,
      tail: () => relay?.tail() ?? '',
    }
    this.#events.onEnded(outcome, () => this.#answer.give(answer))
  }
}
