import type { ReplyContext } from './dialect.ts'
import type { Json } from './json-object.ts'

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter'

export interface ReplyToolCall {
  id: string
  name: string
  /** JSON text. */
  arguments: string
}

/** A whole reply, collected from the provider's blocks. */
export interface CollectedReply {
  id: string | null
  model: string | null
  text: string[]
  refusal: string[]
  reasoning: string[]
  reasoningDetails: Json[]
  calls: ReplyToolCall[]
  finish: FinishReason
  usage: Json | null
}

export const nothingCollected = (): CollectedReply => ({
  id: null,
  model: null,
  text: [],
  refusal: [],
  reasoning: [],
  reasoningDetails: [],
  calls: [],
  finish: 'stop',
  usage: null,
})

export const toolCallJson = ({ id, name, arguments: text }: ReplyToolCall): Json => ({
  id,
  type: 'function',
  function: { name, arguments: text },
})

/** A `chat.completion`. Reasoning stands in `reasoning` and `reasoning_details`, where OpenRouter's clients read it. */
export function chatReply(context: ReplyContext, reply: CollectedReply): Buffer {
  const message: Json = {
    role: 'assistant',
    content: reply.text.length > 0 || reply.calls.length === 0 ? reply.text.join('') : null,
    refusal: reply.refusal.length > 0 ? reply.refusal.join('') : null,
  }
  if (reply.reasoning.length > 0) message.reasoning = reply.reasoning.join('')
  if (reply.reasoningDetails.length > 0) message.reasoning_details = reply.reasoningDetails
  if (reply.calls.length > 0) message.tool_calls = reply.calls.map(toolCallJson)
  const whole: Json = {
    id: reply.id ?? context.callId,
    object: 'chat.completion',
    created: context.created,
    model: reply.model ?? context.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: reply.finish }],
  }
  if (reply.usage) whole.usage = reply.usage
  return Buffer.from(JSON.stringify(whole))
}

/** A provider's error as OpenAI words one. */
export interface ReplyError {
  message: string
  type: string
  code: string | null
  param?: string | null
}

export const errorJson = ({ message, type, code, param }: ReplyError): string =>
  JSON.stringify({ error: { message, type, ...(param == null ? {} : { param }), code } })
