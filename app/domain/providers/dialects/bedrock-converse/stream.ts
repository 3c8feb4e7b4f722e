import { ChatChunks } from '../chat-chunks.ts'
import { toolCallJson } from '../chat-reply.ts'
import { type ReplyContext, TranslationError } from '../dialect.ts'
import { type Json, objectOf, parseObject, textOf } from '../json-object.ts'
import { encryptedDetail, type ReasoningFormat, textDetail } from '../reasoning-details.ts'
import { EventFrames, type Frame } from './event-frames.ts'
import { exceptionOf, finishReason, formatOf, usageOf } from './reply.ts'

/** A content block that is being written. */
interface OpenBlock {
  kind: 'tool' | 'thinking'
  /** Its place among the tool calls, or among the reasoning. */
  index: number
  /** Whether a tool call's arguments have begun. */
  argued: boolean
  hidden: string[]
}

/** Translates a ConverseStream, frame by frame. The provider's end is its `metadata`, which follows `messageStop`. */
export class ConverseStreamReader {
  readonly #frames = new EventFrames()
  readonly #chunks: ChatChunks
  readonly #format: ReasoningFormat
  readonly #blocks = new Map<unknown, OpenBlock>()
  #calls = 0
  #thoughts = 0
  #stopReason: unknown = null

  constructor(context: ReplyContext) {
    this.#chunks = new ChatChunks(context)
    this.#format = formatOf(context)
  }

  get ended(): boolean {
    return this.#chunks.ended
  }

  push(piece: Buffer): Buffer {
    if (this.#chunks.ended || this.#chunks.failed) return this.#chunks.take()
    for (const frame of this.#frames.push(piece)) {
      this.#frame(frame)
      if (this.#chunks.ended || this.#chunks.failed) break
    }
    return this.#chunks.take()
  }

  #frame(frame: Frame): void {
    if (frame.kind === 'error') {
      this.#chunks.error(exceptionOf(frame.name, frame.message))
      return
    }
    const event = parseObject(frame.body)
    if (!event) throw new TranslationError('An event of the provider is not JSON.')
    if (frame.kind === 'exception') this.#chunks.error(exceptionOf(frame.name, event.message))
    else this.#event(frame.name, event)
  }

  /** Events of kinds not listed say nothing. */
  #event(name: string, event: Json): void {
    if (name === 'messageStart') this.#chunks.begin(null, null)
    else if (name === 'contentBlockStart') this.#open(event.contentBlockIndex, objectOf(event.start))
    else if (name === 'contentBlockDelta') this.#delta(event.contentBlockIndex, objectOf(event.delta))
    else if (name === 'contentBlockStop') this.#close(event.contentBlockIndex)
    else if (name === 'messageStop') this.#stopReason = event.stopReason ?? 'end_turn'
    else if (name === 'metadata' && this.#stopReason !== null)
      this.#chunks.end(finishReason(this.#stopReason), usageOf(objectOf(event.usage)))
  }

  #open(at: unknown, start: Json): void {
    if (start.toolUse === undefined || start.toolUse === null) return
    const { toolUseId, name } = objectOf(start.toolUse)
    const index = this.#calls++
    this.#blocks.set(at, { kind: 'tool', index, argued: false, hidden: [] })
    const call = { id: textOf(toolUseId) ?? '', name: textOf(name) ?? '', arguments: '' }
    this.#chunks.delta({ tool_calls: [{ index, ...toolCallJson(call) }] })
  }

  #delta(at: unknown, delta: Json): void {
    if (typeof delta.text === 'string' && delta.text !== '') this.#chunks.delta({ content: delta.text })
    const block = this.#blocks.get(at)
    const argument = textOf(objectOf(delta.toolUse).input)
    if (argument && block?.kind === 'tool') {
      block.argued = true
      this.#chunks.delta({ tool_calls: [{ index: block.index, function: { arguments: argument } }] })
    }
    if (delta.reasoningContent !== undefined) this.#think(at, objectOf(delta.reasoningContent))
  }

  /** Thinking is not announced: its first piece opens it. */
  #think(at: unknown, thought: Json): void {
    let block = this.#blocks.get(at)
    if (!block) {
      block = { kind: 'thinking', index: this.#thoughts++, argued: false, hidden: [] }
      this.#blocks.set(at, block)
    }
    const [text, signature, hidden] = [thought.text, thought.signature, thought.redactedContent].map(textOf)
    if (text)
      this.#chunks.delta({ reasoning: text, reasoning_details: [textDetail(this.#format, block.index, text, null)] })
    if (signature) this.#chunks.delta({ reasoning_details: [textDetail(this.#format, block.index, '', signature)] })
    if (hidden) block.hidden.push(hidden)
  }

  #close(at: unknown): void {
    const block = this.#blocks.get(at)
    if (!block) return
    if (block.kind === 'tool' && !block.argued)
      this.#chunks.delta({ tool_calls: [{ index: block.index, function: { arguments: '{}' } }] })
    if (block.hidden.length > 0)
      this.#chunks.delta({ reasoning_details: [encryptedDetail(this.#format, block.index, block.hidden.join(''))] })
    this.#blocks.delete(at)
  }
}
