import type { ToolCall, Turn } from '../chat-messages.ts'
import { compact, type Json, parseObject } from '../json-object.ts'
import type { ReasoningBlock } from '../reasoning-details.ts'
import { refuse } from '../refuse.ts'
import { blocks, plainBlocks } from './content.ts'

interface Message {
  role: 'user' | 'assistant'
  content: Json[]
}

export interface Conversation {
  system: Json[]
  messages: Message[]
}

/** Thinking that Claude signed. Any other reasoning cannot be given back. */
function thought(block: ReasoningBlock): Json[] {
  if (block.format !== null && block.format !== 'anthropic-claude-v1') return []
  if (block.kind === 'encrypted') return [{ type: 'redacted_thinking', data: block.content }]
  return block.kind === 'text' && block.signature
    ? [{ type: 'thinking', thinking: block.content, signature: block.signature }]
    : []
}

function toolUse(call: ToolCall): Json {
  const input = parseObject(call.arguments === '' ? '{}' : call.arguments)
  if (!input) return refuse(call.at, 'must be the text of a JSON object.')
  return { type: 'tool_use', id: call.id, name: call.name, input }
}

function toolResult(turn: Turn & { role: 'tool' }): Json {
  const only = turn.parts.length === 1 ? turn.parts[0] : undefined
  return compact({
    type: 'tool_result',
    tool_use_id: turn.callId,
    content: only?.kind === 'text' ? only.text : turn.parts.length > 0 ? plainBlocks(turn.parts) : '',
    cache_control: turn.cache ?? turn.parts.find((part) => part.cache)?.cache,
  })
}

function contentOf(turn: Turn): Json[] {
  if (turn.role === 'tool') return [toolResult(turn)]
  if (turn.role !== 'assistant') return blocks(turn.parts)
  return [...turn.reasoning.flatMap(thought), ...blocks(turn.parts), ...turn.calls.map(toolUse)]
}

/**
 * The conversation as Anthropic takes it: instructions stand before it, wherever they stood, and neighbours of one role
 * are one message, so that the results of parallel tool calls come together.
 */
export function conversation(turns: Turn[]): Conversation {
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
  return { system, messages }
}
