import { errorJson, type FinishReason, type ReplyError } from './chat-reply.ts'
import type { ReplyContext } from './dialect.ts'
import type { Json } from './json-object.ts'

/** Writes a reply as a stream of `chat.completion.chunk` events. */
export class ChatChunks {
  readonly #context: ReplyContext
  #head = ''
  #events: string[] = []
  #began = false
  /** The end mark has been written. */
  ended = false
  /** An error has been written: nothing may follow it. */
  failed = false

  constructor(context: ReplyContext) {
    this.#context = context
    this.#name(null, null)
  }

  #name(id: string | null, model: string | null): void {
    const { callId, model: asked, created } = this.#context
    const names = { id: id ?? callId, object: 'chat.completion.chunk', created, model: model ?? asked }
    this.#head = `data: ${JSON.stringify(names).slice(0, -1)},"choices":`
  }

  /** Names the reply as the provider does and opens it. Only the first call says anything. */
  begin(id: string | null, model: string | null): void {
    if (this.#began) return
    this.#name(id, model)
    this.#began = true
    this.#choice({ role: 'assistant', content: '' }, null)
  }

  delta(delta: Json): void {
    if (!this.#began) this.begin(null, null)
    this.#choice(delta, null)
  }

  /** The finish, the usage if it is known, and the end mark. */
  end(reason: FinishReason, usage: Json | null): void {
    if (!this.#began) this.begin(null, null)
    this.#choice({}, reason)
    if (usage) this.#events.push(`${this.#head}[],"usage":${JSON.stringify(usage)}}\n\n`)
    this.#events.push('data: [DONE]\n\n')
    this.ended = true
  }

  error(error: ReplyError): void {
    this.#events.push(`data: ${errorJson(error)}\n\n`)
    this.failed = true
  }

  #choice(delta: Json, reason: FinishReason | null): void {
    const finish = reason === null ? 'null' : `"${reason}"`
    this.#events.push(`${this.#head}[{"index":0,"delta":${JSON.stringify(delta)},"finish_reason":${finish}}]}\n\n`)
  }

  /** What was written since the last call. */
  take(): Buffer {
    if (this.#events.length === 0) return nothing
    const bytes = Buffer.from(this.#events.length === 1 ? this.#events[0]! : this.#events.join(''))
    this.#events = []
    return bytes
  }
}

const nothing = Buffer.alloc(0)
