import { ChatChunks } from '../chat-chunks.ts'
import { toolCallJson } from '../chat-reply.ts'
import { type ReplyContext, TranslationError } from '../dialect.ts'
import { EventLines } from '../event-lines.ts'
import { isObject, type Json, objectOf, parseObject, textOf } from '../json-object.ts'
import { encryptedDetail, summaryDetail, textDetail } from '../reasoning-details.ts'
import { errorOf, finishReason, format, usageOf } from './reply.ts'

/** The last event repeats the whole response, which is longer than any single piece of one. In bytes. */
const longestEvent = 4 * 1024 * 1024

/** A tool call that is being written. */
interface OpenCall {
  index: number
  argued: boolean
}

/** Translates a stream of the Responses API, event by event. It ends with a status, not with a mark. */
export class ResponseStream {
  readonly #lines = new EventLines(longestEvent)
  readonly #chunks: ChatChunks
  /** By the place of the item in the response's output. */
  readonly #calls = new Map<unknown, OpenCall>()
  readonly #thoughts = new Map<unknown, number>()
  #thought = false

  constructor(context: ReplyContext) {
    this.#chunks = new ChatChunks(context)
  }

  get ended(): boolean {
    return this.#chunks.ended
  }

  push(piece: Buffer): Buffer {
    if (this.#chunks.ended || this.#chunks.failed) return this.#chunks.take()
    for (const data of this.#lines.push(piece)) {
      const event = parseObject(data)
      if (event) this.#event(event)
      else if (data !== '[DONE]') throw new TranslationError('An event of the provider is not JSON.')
      if (this.#chunks.ended || this.#chunks.failed) break
    }
    return this.#chunks.take()
  }

  /** Events of kinds not listed repeat what others say, or speak of tools that were not asked for. */
  #event(event: Json): void {
    const response = objectOf(event.response)
    if (event.type === 'response.created') this.#chunks.begin(textOf(response.id), textOf(response.model))
    else if (event.type === 'response.output_text.delta') this.#say('content', event.delta)
    else if (event.type === 'response.refusal.delta') this.#say('refusal', event.delta)
    else if (event.type === 'response.function_call_arguments.delta') this.#argue(event.output_index, event.delta)
    else if (event.type === 'response.output_item.added') this.#open(event.output_index, objectOf(event.item))
    else if (event.type === 'response.output_item.done') this.#close(event.output_index, objectOf(event.item))
    else if (event.type === 'response.completed' || event.type === 'response.incomplete')
      this.#chunks.end(finishReason(response, this.#calls.size > 0), usageOf(response))
    else if (event.type === 'response.failed') this.#chunks.error(errorOf(objectOf(response.error)))
    else if (event.type === 'error')
      this.#chunks.error(errorOf(isObject(event.error) ? event.error : plainError(event)))
    else this.#think(event)
  }

  #say(member: 'content' | 'refusal', text: unknown): void {
    if (typeof text === 'string' && text !== '') this.#chunks.delta({ [member]: text })
  }

  #open(at: unknown, item: Json): void {
    if (item.type !== 'function_call' || this.#calls.has(at)) return
    const index = this.#calls.size
    this.#calls.set(at, { index, argued: false })
    const call = { id: textOf(item.call_id) ?? '', name: textOf(item.name) ?? '', arguments: '' }
    this.#chunks.delta({ tool_calls: [{ index, ...toolCallJson(call) }] })
  }

  #argue(at: unknown, text: unknown): void {
    const call = this.#calls.get(at)
    if (!call || typeof text !== 'string' || text === '') return
    call.argued = true
    this.#chunks.delta({ tool_calls: [{ index: call.index, function: { arguments: text } }] })
  }

  /** A call whose arguments came in no pieces, and reasoning whose encrypted form comes only at its end. */
  #close(at: unknown, item: Json): void {
    this.#open(at, item)
    if (this.#calls.get(at)?.argued === false) this.#argue(at, textOf(item.arguments) || '{}')
    const hidden = item.type === 'reasoning' ? textOf(item.encrypted_content) : null
    if (hidden === null) return
    const id = textOf(item.id) ?? undefined
    this.#chunks.delta({ reasoning_details: [encryptedDetail(format, this.#indexOf(at), hidden, id)] })
  }

  #indexOf(at: unknown): number {
    const index = this.#thoughts.get(at) ?? this.#thoughts.size
    this.#thoughts.set(at, index)
    return index
  }

  #think(event: Json): void {
    const index = () => this.#indexOf(event.output_index)
    const id = textOf(event.item_id) ?? undefined
    // Summaries come in parts, each a paragraph.
    if (event.type === 'response.reasoning_summary_part.added' && this.#thought)
      this.#reason('\n\n', summaryDetail(format, index(), '\n\n', id))
    const text = textOf(event.delta)
    if (!text) return
    if (event.type === 'response.reasoning_summary_text.delta')
      this.#reason(text, summaryDetail(format, index(), text, id))
    else if (event.type === 'response.reasoning_text.delta') this.#reason(text, textDetail(format, index(), text, null))
  }

  #reason(text: string, detail: Json): void {
    this.#thought = true
    this.#chunks.delta({ reasoning: text, reasoning_details: [detail] })
  }
}

/** OpenAI writes the error's members into the event itself, where `type` is that of the event. */
const plainError = ({ type: _type, ...error }: Json): Json => error
