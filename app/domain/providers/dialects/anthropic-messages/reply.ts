import {
  type CollectedReply,
  chatReply,
  errorJson,
  type FinishReason,
  nothingCollected,
  type ReplyError,
} from '../chat-reply.ts'
import { chatUsage } from '../chat-usage.ts'
import type { ReplyContext } from '../dialect.ts'
import { isObject, type Json, objectOf, parseObject, textOf } from '../json-object.ts'
import { encryptedDetail, textDetail } from '../reasoning-details.ts'

export const format = 'anthropic-claude-v1'

const reasons: Record<string, FinishReason> = {
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
}

/** `end_turn`, `stop_sequence`, `pause_turn` and reasons not known yet all end as "stop". */
export const finishReason = (reason: unknown): FinishReason => reasons[String(reason)] ?? 'stop'

/** Anthropic's `input_tokens` leave out what was read from and written to the cache (providers §2.2). */
export const usageOf = (usage: Json): Json | null =>
  chatUsage({
    freshInput: usage.input_tokens,
    cacheRead: usage.cache_read_input_tokens,
    cacheWrite: usage.cache_creation_input_tokens,
    cacheWriteHour: objectOf(usage.cache_creation).ephemeral_1h_input_tokens,
    output: usage.output_tokens,
    reasoning: objectOf(usage.output_tokens_details).thinking_tokens,
    serverTools: usage.server_tool_use,
  })

function collect(reply: CollectedReply, block: Json): void {
  const index = reply.reasoningDetails.length
  if (block.type === 'text') reply.text.push(textOf(block.text) ?? '')
  else if (block.type === 'thinking') {
    const text = textOf(block.thinking) ?? ''
    if (text !== '') reply.reasoning.push(text)
    reply.reasoningDetails.push(textDetail(format, index, text, textOf(block.signature)))
  } else if (block.type === 'redacted_thinking')
    reply.reasoningDetails.push(encryptedDetail(format, index, textOf(block.data) ?? ''))
  else if (block.type === 'tool_use')
    reply.calls.push({
      id: textOf(block.id) ?? '',
      name: textOf(block.name) ?? '',
      arguments: JSON.stringify(block.input ?? {}),
    })
}

/** A plain reply of the Messages API as `chat.completion` JSON; null when it is none. */
export function wholeReply(context: ReplyContext, body: Buffer): Buffer | null {
  const message = parseObject(body.toString('utf8'))
  if (message?.type !== 'message' || !Array.isArray(message.content)) return null
  const reply = nothingCollected()
  for (const block of message.content) collect(reply, objectOf(block))
  reply.id = textOf(message.id)
  reply.model = textOf(message.model)
  reply.finish = finishReason(message.stop_reason)
  reply.usage = usageOf(objectOf(message.usage))
  return chatReply(context, reply)
}

/** `{"type":"error","error":{"type","message"}}`, in a reply of its own or within a stream. */
export function errorOf(event: Json): ReplyError {
  const error = objectOf(event.error)
  const type = textOf(error.type) ?? 'api_error'
  return { message: textOf(error.message) ?? 'The provider reported an error.', type, code: type }
}

export function errorReply(body: Buffer): string | null {
  const reply = parseObject(body.toString('utf8'))
  return reply?.type === 'error' && isObject(reply.error) ? errorJson(errorOf(reply)) : null
}
