import { type Part, readCache, readContent } from './chat-content.ts'
import { compact, type Json } from './json-object.ts'
import { type ReasoningBlock, readReasoningDetails } from './reasoning-details.ts'
import { arrayAt, objectAt, onlyMembers, refuse, textAt } from './refuse.ts'

export interface ToolCall {
  id: string
  name: string
  /** JSON text, as the model once wrote it. */
  arguments: string
  at: string
}

export type Turn =
  | { role: 'system' | 'developer' | 'user'; at: string; parts: Part[] }
  | { role: 'assistant'; at: string; parts: Part[]; calls: ToolCall[]; reasoning: ReasoningBlock[] }
  | { role: 'tool'; at: string; parts: Part[]; callId: string; cache: Json | null }

/**
 * What clients repeat when they send an assistant's reply back, and what has no meaning in a request: readings of the reply
 * (`annotations`, and what OpenAI's library parsed), and reasoning without the signature a provider asks for
 * (`reasoning_details` holds that with it).
 */
const repeated = ['annotations', 'parsed', 'reasoning', 'reasoning_content']

function readCall(value: unknown, at: string): ToolCall {
  const call = objectAt(value, at)
  onlyMembers(call, at, ['id', 'type', 'function', 'index'])
  if (call.type !== undefined && call.type !== 'function') refuse(`${at}.type`, "must be 'function'.")
  const fn = objectAt(call.function, `${at}.function`)
  onlyMembers(fn, `${at}.function`, ['name', 'arguments', 'parsed_arguments'])
  return {
    id: textAt(call.id, `${at}.id`),
    name: textAt(fn.name, `${at}.function.name`),
    arguments: textAt(fn.arguments, `${at}.function.arguments`),
    at: `${at}.function.arguments`,
  }
}

function readAssistant(message: Json, at: string, cache: Json | null): Turn {
  const members = ['role', 'content', 'tool_calls', 'refusal', 'reasoning_details', 'cache_control', ...repeated]
  onlyMembers(message, at, members)
  const said = readContent(message.content, `${at}.content`, ['text', 'refusal'], cache)
  const refused = readContent(message.refusal, `${at}.refusal`, ['text'], null)
  const calls = message.tool_calls === undefined ? [] : arrayAt(message.tool_calls, `${at}.tool_calls`)
  return {
    role: 'assistant',
    at,
    parts: [...said, ...refused],
    calls: calls.map((call, index) => readCall(call, `${at}.tool_calls[${index}]`)),
    reasoning: readReasoningDetails(message.reasoning_details),
  }
}

function readTool(message: Json, at: string, cache: Json | null): Turn {
  // The name repeats that of the call, which the id already says.
  onlyMembers(message, at, ['role', 'content', 'tool_call_id', 'name', 'cache_control'])
  const parts = readContent(message.content, `${at}.content`, ['text', 'image'], null)
  return { role: 'tool', at, parts, callId: textAt(message.tool_call_id, `${at}.tool_call_id`), cache }
}

function readMessage(value: unknown, at: string): Turn {
  const message = compact(objectAt(value, at))
  const cache = readCache(message.cache_control, `${at}.cache_control`)
  switch (message.role) {
    case 'assistant':
      return readAssistant(message, at, cache)
    case 'tool':
      return readTool(message, at, cache)
    case 'user':
    case 'system':
    case 'developer': {
      onlyMembers(message, at, ['role', 'content', 'cache_control'])
      const kinds = message.role === 'user' ? (['text', 'image', 'file'] as const) : (['text'] as const)
      return { role: message.role, at, parts: readContent(message.content, `${at}.content`, kinds, cache) }
    }
    default:
      return refuse(`${at}.role`, 'is not accepted for this provider.')
  }
}

/** The messages of a chat request. @throws DialectRefusal naming the first thing in them that no dialect can express */
export function readMessages(value: unknown): Turn[] {
  return arrayAt(value, 'messages').map((message, index) => readMessage(message, `messages[${index}]`))
}
