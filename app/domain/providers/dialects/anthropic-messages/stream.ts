import { ChatChunks } from '../chat-chunks.ts'
import { toolCallJson } from '../chat-reply.ts'
import { latest } from '../chat-usage.ts'
import { type ReplyContext, TranslationError } from '../dialect.ts'
import { EventLines } from '../event-lines.ts'
import { type Json, objectOf, parseObject, textOf } from '../json-object.ts'
import { encryptedDetail, textDetail } from '../reasoning-details.ts'
import { errorOf, finishReason, format, usageOf } from './reply.ts'

/** A content block that is being written. */
interface OpenBlock {
  kind: 'tool' | 'thinking' | 'other'
  /** Its place among the tool calls, or among the reasoning. */
  index: number
  /** A tool call's arguments as given at its start, for the case that no pieces of them follow. */
  input: unknown
}

/** Translates a stream of the Messages API, event by event. */
export class MessageStream {
  readonly #lines = new EventLines()
  readonly #chunks: ChatChunks
  readonly #blocks = new Map<unknown, OpenBlock>()
  #calls = 0
  #thoughts = 0
  #usage: Json = {}
  #stopReason: unknown = null

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
      if (!event) throw new TranslationError('An event of the provider is not JSON.')
      this.#event(event)
      if (this.#chunks.ended || this.#chunks.failed) break
    }
    return this.#chunks.take()
  }

  /** Events of kinds not listed, `ping` among them, say nothing: the provider announces that new ones may come. */
  #event(event: Json): void {
    if (event.type === 'message_start') this.#start(objectOf(event.message))
    else if (event.type === 'content_block_start') this.#open(event.index, objectOf(event.content_block))
    else if (event.type === 'content_block_delta') this.#delta(event.index, objectOf(event.delta))
    else if (event.type === 'content_block_stop') this.#close(event.index)
    else if (event.type === 'message_delta') this.#progress(event)
    else if (event.type === 'message_stop') this.#chunks.end(finishReason(this.#stopReason), usageOf(this.#usage))
    else if (event.type === 'error') this.#chunks.error(errorOf(event))
  }

  #progress(event: Json): void {
    this.#stopReason = objectOf(event.delta).stop_reason ?? this.#stopReason
    this.#usage = latest(this.#usage, event.usage)
  }

  #start(message: Json): void {
    this.#usage = latest(this.#usage, message.usage)
    this.#stopReason = message.stop_reason ?? this.#stopReason
    this.#chunks.begin(textOf(message.id), textOf(message.model))
  }

  #open(at: unknown, block: Json): void {
    if (block.type === 'tool_use') {
      const index = this.#calls++
      const call = { id: textOf(block.id) ?? '', name: textOf(block.name) ?? '', arguments: '' }
      this.#blocks.set(at, { kind: 'tool', index, input: block.input })
      this.#chunks.delta({ tool_calls: [{ index, ...toolCallJson(call) }] })
    } else if (block.type === 'thinking') {
      const index = this.#thoughts++
      this.#blocks.set(at, { kind: 'thinking', index, input: null })
      this.#think(index, textOf(block.thinking))
    } else if (block.type === 'redacted_thinking')
      this.#chunks.delta({
        reasoning_details: [encryptedDetail(format, this.#thoughts++, textOf(block.data) ?? '')],
      })
    else if (block.type === 'text') this.#say(textOf(block.text))
  }

  #delta(at: unknown, delta: Json): void {
    const block = this.#blocks.get(at)
    if (delta.type === 'text_delta') this.#say(textOf(delta.text))
    if (!block) return
    if (delta.type === 'input_json_delta' && block.kind === 'tool') this.#argue(block, textOf(delta.partial_json))
    else if (delta.type === 'thinking_delta') this.#think(block.index, textOf(delta.thinking))
    else if (delta.type === 'signature_delta' && textOf(delta.signature))
      this.#chunks.delta({ reasoning_details: [textDetail(format, block.index, '', textOf(delta.signature))] })
  }

  /** A call whose arguments came whole at the start, or never: an empty text would be no JSON. */
  #close(at: unknown): void {
    const block = this.#blocks.get(at)
    if (block?.kind === 'tool' && block.input !== undefined) this.#argue(block, JSON.stringify(block.input))
    this.#blocks.delete(at)
  }

  #say(text: string | null): void {
    if (text) this.#chunks.delta({ content: text })
  }

  #think(index: number, text: string | null): void {
    if (text) this.#chunks.delta({ reasoning: text, reasoning_details: [textDetail(format, index, text, null)] })
  }

  #argue(block: OpenBlock, text: string | null): void {
    if (!text) return
    block.input = undefined
    this.#chunks.delta({ tool_calls: [{ index: block.index, function: { arguments: text } }] })
  }
}
