import type { ReplyController, ReplyHandler, ReplyHeaders } from '#app/domain/providers/dispatch-call.server.ts'
import { isGenerationId } from '#app/domain/providers/fetch-generation.server.ts'
import { providerOf } from '#app/domain/providers/providers.ts'
import { noFacts } from '#app/domain/providers/usage.ts'
import type { Call, Ending, ReplyOutcome } from './call.ts'
import type { ClientResponse } from './client-response.ts'
import type { GatewayError } from './gateway-error.ts'
import { JsonRelay } from './json-relay.ts'
import { KeyScrub } from './key-scrub.ts'
import { StreamRelay } from './stream-relay.ts'
import { errorInReply, invalidReply, noReply, refusalError } from './upstream-error.ts'

/** Text of a refusal beyond this is not read, in bytes. */
const longestRefusal = 64 * 1024
/** How long a reply may stay open after it has said that it is over, in ms. */
const endGraceMs = 1_000

/** What the call is told about its reply, once each: the first byte, and how it ended. */
export interface ReplyEvents {
  onFirstByte: (generationId: string | null) => void
  /** `answer` completes the client's side; it must not be called before the outcome is in the ledger. */
  onEnded: (outcome: ReplyOutcome, answer: () => void) => void
}

type Mode = 'waiting' | 'stream' | 'json' | 'refusal' | 'invalid'

/** Hears one upstream reply and passes it on as it arrives. Decides how it ended, exactly once. */
export class UpstreamReply implements ReplyHandler {
  readonly #call: Call
  readonly #client: ClientResponse
  readonly #events: ReplyEvents
  #controller: ReplyController | null = null
  #mode: Mode = 'waiting'
  #stream: StreamRelay | null = null
  #json: JsonRelay | null = null
  #gathered: Buffer[] = []
  #aborting = false
  #refusal: Buffer[] = []
  #refusalBytes = 0
  #httpStatus: number | null = null
  #headers: ReplyHeaders = {}
  #generationId: string | null = null
  #firstByteMs: number | null = null
  #invalid = ''
  #over = false
  #upstreamDone = false
  #answer: (() => void) | null = null
  #endExpected: NodeJS.Timeout | null = null

  constructor(call: Call, client: ClientResponse, events: ReplyEvents) {
    this.#call = call
    this.#client = client
    this.#events = events
  }

  get bytes(): number {
    return this.#stream?.total ?? this.#json?.total ?? 0
  }

  get generationId(): string | null {
    return this.#generationId
  }

  onRequestStart(controller: ReplyController): void {
    this.#controller = controller
  }

  onResponseStart(_controller: ReplyController, status: number, headers: ReplyHeaders): void {
    if (status < 200) return
    this.#httpStatus = status
    this.#headers = headers
    const named = headers[providerOf(this.#call.provider).generationHeader]
    if (typeof named === 'string' && isGenerationId(named)) this.#generationId = named
    this.#mode = this.#modeFor(status, headers)
  }

  #modeFor(status: number, headers: ReplyHeaders): Mode {
    if (status >= 400) return 'refusal'
    if (status !== 200) return this.#refuseAs(`answered with status ${status}`)
    const encoding = headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity')
      return this.#refuseAs('answered in an encoding that was not asked for')
    const type = String(headers['content-type'] ?? '').toLowerCase()
    const scrub = new KeyScrub(this.#call.key)
    if (this.#call.dispatch.streamed && type.startsWith('text/event-stream')) {
      this.#stream = new StreamRelay(this.#client, this.#replyHeaders('text/event-stream; charset=utf-8'), scrub)
      return 'stream'
    }
    if (type.startsWith('application/json')) {
      this.#json = new JsonRelay(this.#client, this.#replyHeaders('application/json'), scrub)
      return 'json'
    }
    return this.#refuseAs('answered with something else than a completion')
  }

  #refuseAs(what: string): Mode {
    this.#invalid = what
    return 'invalid'
  }

  /** The allow-list of what a caller sees of the reply's headers: its type and the generation's id; the rest is ours. */
  #replyHeaders(contentType: string): Record<string, string> {
    return {
      'content-type': contentType,
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-keymargin-key-source': this.#call.dispatch.keySource,
      ...(this.#generationId === null ? {} : { 'x-generation-id': this.#generationId }),
    }
  }

  onResponseData(_controller: ReplyController, piece: Buffer): void {
    if (this.#firstByteMs === null) {
      this.#firstByteMs = Math.round(performance.now() - this.#call.arrivedAt)
      if (this.#mode === 'stream' || this.#mode === 'json') this.#events.onFirstByte(this.#generationId)
    }
    if (this.#stream) this.#gather(piece)
    else if (this.#json) this.#relay(this.#json, piece)
    else this.#collectRefusal(piece)
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
    this.#relay(this.#stream, pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces))
  }

  #relay(relay: StreamRelay | JsonRelay, piece: Buffer): void {
    if (this.#over && this.#answer === null && !this.#stream?.ended) return
    const goOn = relay.push(piece)
    if (relay.tooLong) this.abandon()
    else if (this.#stream?.ended) this.#settleStream()
    else if (this.#stream?.failed) this.#expectEnd()
    else if (!goOn && !this.#client.gone) {
      this.#controller?.pause()
      this.#client.onceDrained(() => this.#controller?.resume())
    }
  }

  /** After an error nothing is to come but the end; a provider that does not end is not waited for. */
  #expectEnd(): void {
    this.#endExpected ??= setTimeout(() => this.abandon(), endGraceMs).unref()
  }

  #collectRefusal(piece: Buffer): void {
    this.#refusalBytes += piece.length
    if (this.#refusalBytes <= longestRefusal) this.#refusal.push(piece)
    else if (this.#refusalBytes > 16 * longestRefusal)
      this.#controller?.abort(new Error('gateway: the refusal is too long'))
  }

  onResponseEnd(): void {
    this.#passOn()
    this.#upstreamDone = true
    if (this.#mode === 'stream') this.#settleStream()
    else if (this.#mode === 'json') this.#settleJson()
    else if (this.#mode === 'refusal') this.#settleRefusal()
    else this.#settleInvalid()
    this.#answerIfDue()
  }

  onResponseError(_controller: ReplyController, error: Error): void {
    if (!this.#aborting) this.#passOn()
    this.#upstreamDone = true
    if (this.#mode === 'refusal') this.#settleRefusal()
    else if (this.#mode === 'invalid') this.#settleInvalid()
    else this.#settleBroken(error)
    this.#answerIfDue()
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

  #settleStream(): void {
    const relay = this.#stream
    if (!relay || this.#over) return
    if (relay.total === 0) {
      this.#fail('invalid', 'upstream_invalid', invalidReply(this.#call.provider, 'answered with an empty stream'))
      return
    }
    const facts = relay.facts()
    this.#generationId ??= facts.generationId
    this.#settle('complete', facts.errorCode, facts, () => relay.finish())
  }

  #settleJson(): void {
    const relay = this.#json
    if (!relay || this.#over) return
    const facts = relay.facts()
    if (facts === null) {
      this.#invalid = 'answered with something else than a completion'
      this.#settleInvalid()
      return
    }
    if (facts.generationId !== null && isGenerationId(facts.generationId)) this.#generationId ??= facts.generationId
    this.#settle('complete', facts.errorCode, facts, () => {
      if (facts.failed)
        this.#client.fail(errorInReply(this.#asRefusal(200, relay.body().toString('utf8'))), this.#errorHeaders())
      else relay.finish()
    })
  }

  #settleRefusal(): void {
    const body = Buffer.concat(this.#refusal).toString('utf8')
    const error = refusalError(this.#asRefusal(this.#httpStatus ?? 502, body))
    this.#fail('refused', error.code, error)
  }

  #asRefusal(status: number, body: string) {
    const { provider, key, dispatch } = this.#call
    return {
      provider,
      key,
      keySource: dispatch.keySource,
      status,
      body,
      retryAfter: this.#headers['retry-after'],
      now: new Date(),
    }
  }

  #settleInvalid(): void {
    this.#fail(
      'invalid',
      'upstream_invalid',
      invalidReply(this.#call.provider, this.#invalid || 'answered with nothing'),
    )
  }

  #settleBroken(error: Error): void {
    const timeout = /timeout/i.test(error.name)
    const begun = this.#mode !== 'waiting'
    const ending: Ending = begun ? 'cut' : this.#controller ? 'silent' : 'unsent'
    const told = noReply(this.#call.provider, timeout ? 'timeout' : ending === 'unsent' ? 'unreachable' : 'interrupted')
    const facts = this.#stream && this.#stream.total > 0 ? this.#stream.facts() : noFacts
    const { id } = this.#call.dispatch
    this.#generationId ??= facts.generationId
    this.#settle(ending, told.code, facts, () => {
      if (this.#stream && this.#client.begun) this.#stream.breakOff(told, id)
      else this.#client.fail(told, this.#errorHeaders())
    })
  }

  #errorHeaders(): Record<string, string> {
    return { 'x-keymargin-key-source': this.#call.dispatch.keySource }
  }

  #fail(ending: Ending, code: string, error: GatewayError): void {
    this.#settle(ending, code, noFacts, () => this.#client.fail(error, this.#errorHeaders()))
  }

  #settle(ending: Ending, errorCode: string | null, facts: ReplyOutcome['facts'], answer: () => void): void {
    if (this.#over) return
    this.#over = true
    const outcome: ReplyOutcome = {
      ending,
      httpStatus: this.#httpStatus,
      facts,
      generationId: this.#generationId,
      bytes: this.bytes,
      firstByteMs: this.#firstByteMs,
      clientGone: this.#client.gone,
      errorCode,
    }
    this.#events.onEnded(outcome, () => this.#release(answer))
  }

  /** In the ledger: the client may see the end, once the provider has said all it had to say. */
  #release(answer: () => void): void {
    this.#answer = answer
    this.#answerIfDue()
    // A provider that stays on the line after its end mark must not keep the client waiting, nor go on filling memory.
    if (!this.#upstreamDone) setTimeout(() => this.#upstreamDone || this.abandon(), endGraceMs).unref()
  }

  #answerIfDue(): void {
    if (!this.#answer || !this.#upstreamDone) return
    const answer = this.#answer
    this.#answer = null
    answer()
  }
}
