import type { Turn } from '../chat-messages.ts'
import { toolInput } from '../conversation.ts'
import type { Json } from '../json-object.ts'
import type { ReasoningBlock } from '../reasoning-details.ts'
import { blocks, cachePoint, DocumentNames } from './content.ts'

/** Thinking that Claude signed goes back to Claude; other models take none back. */
function thought(block: ReasoningBlock): Json[] {
  if (block.format !== null && block.format !== 'anthropic-claude-v1') return []
  if (block.kind === 'encrypted') return [{ reasoningContent: { redactedContent: block.content } }]
  return block.kind === 'text' && block.signature
    ? [{ reasoningContent: { reasoningText: { text: block.content, signature: block.signature } } }]
    : []
}

function toolResult(turn: Turn & { role: 'tool' }, names: DocumentNames): Json[] {
  const content = blocks(
    turn.parts.map((part) => ({ ...part, cache: null })),
    names,
  )
  const cache = turn.cache ?? turn.parts.find((part) => part.cache)?.cache
  const result = { toolResult: { toolUseId: turn.callId, content } }
  return cache ? [result, cachePoint(cache)] : [result]
}

/**
 * Reads the content blocks of one message after the other.
 * @param thinks whether the model takes its own thinking back
 */
export function contentReader(thinks: boolean): (turn: Turn) => Json[] {
  const names = new DocumentNames()
  return (turn) => {
    if (turn.role === 'tool') return toolResult(turn, names)
    if (turn.role !== 'assistant') return blocks(turn.parts, names)
    const thoughts = thinks ? turn.reasoning.flatMap(thought) : []
    const calls = turn.calls.map((call) => ({
      toolUse: { toolUseId: call.id, name: call.name, input: toolInput(call) },
    }))
    return [...thoughts, ...blocks(turn.parts, names), ...calls]
  }
}

/** Whether a tool was called in the conversation: Bedrock then wants to see tools. */
export const usesTools = (turns: Turn[]): boolean =>
  turns.some((turn) => turn.role === 'tool' || (turn.role === 'assistant' && turn.calls.length > 0))
