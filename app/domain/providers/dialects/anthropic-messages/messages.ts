import type { Turn } from '../chat-messages.ts'
import { toolInput } from '../conversation.ts'
import { compact, type Json } from '../json-object.ts'
import type { ReasoningBlock } from '../reasoning-details.ts'
import { blocks, plainBlocks } from './content.ts'

/** Thinking that Claude signed. Any other reasoning cannot be given back. */
function thought(block: ReasoningBlock): Json[] {
  if (block.format !== null && block.format !== 'anthropic-claude-v1') return []
  if (block.kind === 'encrypted') return [{ type: 'redacted_thinking', data: block.content }]
  return block.kind === 'text' && block.signature
    ? [{ type: 'thinking', thinking: block.content, signature: block.signature }]
    : []
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

/** The content blocks of one message. */
export function contentOf(turn: Turn): Json[] {
  if (turn.role === 'tool') return [toolResult(turn)]
  if (turn.role !== 'assistant') return blocks(turn.parts)
  const calls = turn.calls.map((call) => ({ type: 'tool_use', id: call.id, name: call.name, input: toolInput(call) }))
  return [...turn.reasoning.flatMap(thought), ...blocks(turn.parts), ...calls]
}
