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
import { arrayOf, type Json, objectOf, parseObject, textOf } from '../json-object.ts'
import { encryptedDetail, type ReasoningFormat, textDetail } from '../reasoning-details.ts'

/** Only Claude signs its thinking; of an inference profile the name does not tell which model it stands for. */
export const formatOf = ({ model }: ReplyContext): ReasoningFormat =>
  /claude|arn:aws/.test(model) ? 'anthropic-claude-v1' : 'unknown'

const reasons: Record<string, FinishReason> = {
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  guardrail_intervened: 'content_filter',
  content_filtered: 'content_filter',
}

/** `end_turn`, `stop_sequence` and reasons not known yet all end as "stop". */
export const finishReason = (reason: unknown): FinishReason => reasons[String(reason)] ?? 'stop'

/** Tokens of one cache write after the other that are kept for an hour; a count that is none makes the sum none. */
const keptForAnHour = (details: unknown): unknown =>
  arrayOf(details)
    .map(objectOf)
    .filter(({ ttl }) => ttl === '1h')
    .reduce<unknown>((sum, { inputTokens: count }) => {
      const isCount = typeof sum === 'number' && typeof count === 'number' && count >= 0
      return isCount ? sum + count : Number.NaN
    }, 0)

/** Bedrock's `inputTokens` leave out what was read from and written to the cache (providers §2.2). */
export const usageOf = (usage: Json): Json | null =>
  chatUsage({
    freshInput: usage.inputTokens,
    cacheRead: usage.cacheReadInputTokens,
    cacheWrite: usage.cacheWriteInputTokens,
    cacheWriteHour: keptForAnHour(usage.cacheDetails),
    output: usage.outputTokens,
    reasoning: null,
    serverTools: usage.serverToolUsage,
  })

function collectThought(reply: CollectedReply, thought: Json, format: ReasoningFormat): void {
  const index = reply.reasoningDetails.length
  const hidden = textOf(thought.redactedContent)
  if (hidden !== null) reply.reasoningDetails.push(encryptedDetail(format, index, hidden))
  const { text, signature } = objectOf(thought.reasoningText)
  if (typeof text !== 'string') return
  reply.reasoning.push(text)
  reply.reasoningDetails.push(textDetail(format, index, text, textOf(signature)))
}

function collect(reply: CollectedReply, block: Json, format: ReasoningFormat): void {
  if (typeof block.text === 'string') reply.text.push(block.text)
  for (const cited of arrayOf(objectOf(block.citationsContent).content))
    reply.text.push(textOf(objectOf(cited).text) ?? '')
  collectThought(reply, objectOf(block.reasoningContent), format)
  if (block.toolUse === undefined || block.toolUse === null) return
  const { toolUseId, name, input } = objectOf(block.toolUse)
  reply.calls.push({ id: textOf(toolUseId) ?? '', name: textOf(name) ?? '', arguments: JSON.stringify(input ?? {}) })
}

/** A plain reply of Converse as `chat.completion` JSON; null when it is none. Bedrock names neither reply nor model. */
export function wholeReply(context: ReplyContext, body: Buffer): Buffer | null {
  const converse = parseObject(body.toString('utf8'))
  const { content } = objectOf(objectOf(objectOf(converse).output).message)
  if (!converse || !Array.isArray(content)) return null
  const reply = nothingCollected()
  for (const block of content) collect(reply, objectOf(block), formatOf(context))
  reply.finish = finishReason(converse.stopReason)
  reply.usage = usageOf(objectOf(converse.usage))
  return chatReply(context, reply)
}

/** An exception by its name, such as `throttlingException`; a name like `com.amazon#ThrottlingException` loses its front. */
export function exceptionOf(name: string | null, message: unknown): ReplyError {
  const plain = name?.split('#').at(-1)?.split(':')[0] || null
  return { message: textOf(message) ?? 'Bedrock reported an error.', type: plain ?? 'api_error', code: plain }
}

/** `{"message": …}`, now and then with `__type`; the exception's name otherwise stands in a header, not here. */
export function errorReply(body: Buffer): string | null {
  const error = parseObject(body.toString('utf8'))
  const message = textOf(error?.message) ?? textOf(error?.Message)
  return error && message !== null ? errorJson(exceptionOf(textOf(error.__type), message)) : null
}
