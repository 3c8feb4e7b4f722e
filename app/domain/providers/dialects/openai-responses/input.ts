import type { FilePart, ImagePart, Part } from '../chat-content.ts'
import type { Turn } from '../chat-messages.ts'
import { compact, type Json } from '../json-object.ts'
import type { ReasoningBlock } from '../reasoning-details.ts'
import { refuse, unsupported } from '../refuse.ts'

export const provider = "OpenAI's Responses API"

/** OpenAI's prompt cache works without marks and takes none. */
const unmarked = (part: Part): void => {
  if (part.cache) unsupported(`${part.at}.cache_control`, provider)
}

const image = (part: ImagePart): Json =>
  compact({ type: 'input_image', image_url: part.url, detail: part.detail ?? 'auto' })

function file(part: FilePart): Json {
  if (part.data === null && part.id === null) return refuse(`${part.at}.file`, 'needs file_data or file_id.')
  const linked = part.data?.startsWith('https://')
  return compact({
    type: 'input_file',
    file_id: part.id,
    filename: part.name,
    [linked ? 'file_url' : 'file_data']: part.data,
  })
}

function said(part: Part): Json {
  unmarked(part)
  if (part.kind === 'image') return image(part)
  return part.kind === 'file' ? file(part) : { type: 'input_text', text: part.text }
}

/** What the assistant said. A list of output parts would have to carry the ids of messages that are not kept anywhere. */
function answered(parts: Part[]): string {
  parts.forEach(unmarked)
  return parts.map((part) => (part.kind === 'text' || part.kind === 'refusal' ? part.text : '')).join('')
}

const formats = ['openai-responses-v1', 'azure-openai-responses-v1']

/**
 * Reasoning that OpenAI encrypted goes back as the item it was. Without the encrypted part the provider would look for the
 * item in its own store, where nothing is kept.
 */
function reasoningItems(blocks: ReasoningBlock[]): Json[] {
  const own = blocks.filter((block) => block.format !== null && formats.includes(block.format))
  return own
    .filter((block) => block.kind === 'encrypted')
    .map(({ id, content }) => ({
      type: 'reasoning',
      ...(id === null ? {} : { id }),
      summary: own
        .filter((block) => block.kind === 'summary' && block.id === id)
        .map((block) => ({ type: 'summary_text', text: block.content })),
      encrypted_content: content,
    }))
}

function toolOutput(turn: Turn & { role: 'tool' }): Json {
  if (turn.cache) unsupported(`${turn.at}.cache_control`, provider)
  const [first, ...others] = turn.parts.map(said)
  const output = first === undefined ? '' : others.length === 0 && first.type === 'input_text' ? first.text : null
  return { type: 'function_call_output', call_id: turn.callId, output: output ?? [first, ...others] }
}

function items(turn: Turn): Json[] {
  if (turn.role === 'tool') return [toolOutput(turn)]
  if (turn.role !== 'assistant') {
    if (turn.parts.length === 0) refuse(`${turn.at}.content`, 'must not be empty.')
    return [{ role: turn.role, content: turn.parts.map(said) }]
  }
  const message = turn.parts.length > 0 ? [{ role: 'assistant', content: answered(turn.parts) }] : []
  const calls = turn.calls.map((call) => ({
    type: 'function_call',
    call_id: call.id,
    name: call.name,
    arguments: call.arguments,
  }))
  return [...reasoningItems(turn.reasoning), ...message, ...calls]
}

/** The messages as the list of items that Responses takes, in their order. */
export const inputItems = (turns: Turn[]): Json[] => turns.flatMap(items)
