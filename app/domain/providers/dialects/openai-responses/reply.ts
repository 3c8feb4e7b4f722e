import { toolsInOutput } from '../../units-apart.ts'
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
import { nearest } from '../exact-json.ts'
import { arrayOf, isObject, type Json, objectOf, parseObject, textOf } from '../json-object.ts'
import { encryptedDetail, summaryDetail, textDetail } from '../reasoning-details.ts'

export const format = 'openai-responses-v1'

/** Why a response that did not fail is over. Tool calls are not a status of their own here. */
export function finishReason(response: Json, called: boolean): FinishReason {
  const { reason } = objectOf(response.incomplete_details)
  if (reason === 'max_output_tokens') return 'length'
  if (reason === 'content_filter') return 'content_filter'
  return called ? 'tool_calls' : 'stop'
}

/** Responses counts inclusively, as chat does. */
export function usageOf(response: Json): Json | null {
  const usage = objectOf(response.usage)
  const input = objectOf(usage.input_tokens_details)
  return chatUsage({
    allInput: usage.input_tokens ?? null,
    cacheRead: input.cached_tokens,
    cacheWrite: input.cache_write_tokens,
    output: usage.output_tokens,
    reasoning: objectOf(usage.output_tokens_details).reasoning_tokens,
    serverTools: ownTools(response.output),
    inputDetails: usage.input_tokens_details,
    outputDetails: usage.output_tokens_details,
  })
}

/** Tools of the provider's own that stand in the output, by their items' types. */
function ownTools(output: unknown): Json | undefined {
  const tools = toolsInOutput(output)
  return tools > 0 ? { tool_calls: tools } : undefined
}

/** An error object of OpenAI's, in a reply of its own, a failed response or a stream. */
export function errorOf(error: Json): ReplyError {
  const code = nearest(error.code)
  return {
    message: textOf(error.message) ?? 'The provider reported an error.',
    type: textOf(error.type) ?? 'api_error',
    param: textOf(error.param),
    code: code === null ? textOf(error.code) : String(code),
  }
}

function collectReasoning(reply: CollectedReply, item: Json): void {
  const id = textOf(item.id) ?? undefined
  const index = Number(reply.reasoningDetails.at(-1)?.index ?? -1) + 1
  const texts = (value: unknown) =>
    arrayOf(value).flatMap((part) => {
      const text = textOf(objectOf(part).text)
      return text ? [text] : []
    })
  // Summaries come in parts, each a paragraph.
  for (const part of texts(item.summary)) {
    const text = reply.reasoning.length > 0 ? `\n\n${part}` : part
    reply.reasoning.push(text)
    reply.reasoningDetails.push(summaryDetail(format, index, text, id))
  }
  for (const text of texts(item.content)) {
    reply.reasoning.push(text)
    reply.reasoningDetails.push(textDetail(format, index, text, null))
  }
  const hidden = textOf(item.encrypted_content)
  if (hidden !== null) reply.reasoningDetails.push(encryptedDetail(format, index, hidden, id))
}

function collect(reply: CollectedReply, item: Json): void {
  if (item.type === 'reasoning') collectReasoning(reply, item)
  else if (item.type === 'function_call')
    reply.calls.push({
      id: textOf(item.call_id) ?? '',
      name: textOf(item.name) ?? '',
      arguments: textOf(item.arguments) || '{}',
    })
  else if (item.type === 'message')
    for (const part of arrayOf(item.content).map(objectOf)) {
      if (part.type === 'output_text') reply.text.push(textOf(part.text) ?? '')
      else if (part.type === 'refusal') reply.refusal.push(textOf(part.refusal) ?? '')
    }
}

/**
 * A plain response as `chat.completion` JSON; null when it is none. One that failed after it had begun is a reply with an
 * error, since its status was good.
 */
export function wholeReply(context: ReplyContext, body: Buffer): Buffer | null {
  const response = parseObject(body.toString('utf8'))
  if (response?.object !== 'response' || !Array.isArray(response.output)) return null
  if (isObject(response.error)) return Buffer.from(errorJson(errorOf(response.error)))
  const reply = nothingCollected()
  for (const item of response.output) collect(reply, objectOf(item))
  reply.id = textOf(response.id)
  reply.model = textOf(response.model)
  reply.finish = finishReason(response, reply.calls.length > 0)
  reply.usage = usageOf(response)
  return chatReply(context, reply)
}

export function errorReply(body: Buffer): string | null {
  const reply = parseObject(body.toString('utf8'))
  return isObject(reply?.error) ? errorJson(errorOf(reply.error)) : null
}
