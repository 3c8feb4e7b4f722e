import { valuesInObject } from '#app/platform/json-members.ts'
import type { ToolCall, Turn } from './chat-messages.ts'
import { type Json, parseObject } from './json-object.ts'
import { refuse } from './refuse.ts'

export interface Message {
  role: 'user' | 'assistant'
  content: Json[]
}

export interface Conversation {
  system: Json[]
  messages: Message[]
}

/**
 * Values in the arguments of all calls of a request, brackets and commas: they are parsed here, while everybody waits, and no
 * request holds more values elsewhere either.
 */
const mostValues = 50_000

function checkArguments(turns: Turn[]): void {
  let sum = 0
  for (const call of turns.flatMap((turn) => (turn.role === 'assistant' ? turn.calls : []))) {
    sum += (call.arguments === '' ? 0 : valuesInObject(call.arguments)) ?? refuseArguments(call)
    if (sum > mostValues) refuse(call.at, `holds, with those before it, more than ${mostValues} values.`)
  }
}

const refuseArguments = ({ at }: ToolCall): never => refuse(at, 'must be the text of a JSON object.')

/** A call's arguments as the object they are the text of. Models that call without arguments now and then write nothing. */
export function toolInput(call: ToolCall): Json {
  return parseObject(call.arguments === '' ? '{}' : call.arguments) ?? refuseArguments(call)
}

/**
 * The conversation for providers whose roles alternate: instructions stand before it, wherever they stood, and neighbours
 * of one role are one message, so that the results of parallel tool calls come together.
 * @param contentOf the blocks of one message in the provider's format
 */
export function conversation(turns: Turn[], contentOf: (turn: Turn) => Json[]): Conversation {
  checkArguments(turns)
  const system: Json[] = []
  const messages: Message[] = []
  for (const turn of turns) {
    const content = contentOf(turn)
    if (turn.role === 'system' || turn.role === 'developer') {
      for (const block of content) system.push(block)
      continue
    }
    if (content.length === 0 && turn.role === 'user') refuse(`${turn.at}.content`, 'must not be empty.')
    const role = turn.role === 'assistant' ? 'assistant' : 'user'
    const last = messages.at(-1)
    if (last?.role === role) for (const block of content) last.content.push(block)
    else if (content.length > 0) messages.push({ role, content })
  }
  if (messages.length === 0) refuse('messages', 'must hold more than instructions for this provider.')
  return { system, messages }
}
