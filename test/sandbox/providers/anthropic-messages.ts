import type { Scenario } from '../openrouter/scenario.ts'
import {
  type Ask,
  type AskedTool,
  type Plan,
  type Rendered,
  saidTokens,
  sseEvent,
  textOf,
  usageSlot,
  withUsage,
} from './reply.ts'

interface Block {
  type: string
  text?: string
}

interface MessagesBody {
  model?: unknown
  max_tokens?: unknown
  system?: unknown
  messages?: { role: string; content: string | Block[] }[]
  stream?: boolean
  tools?: { name: string; input_schema?: { properties?: AskedTool['properties'] } }[]
  tool_choice?: { type?: string; disable_parallel_tool_use?: boolean }
}

/** Reads a Messages request. A text in place of it is what Anthropic would say is wrong. */
export function readMessages(body: MessagesBody): Ask | string {
  const { model, messages, max_tokens: maxTokens } = body
  if (typeof model !== 'string') return 'model: Field required'
  if (typeof maxTokens !== 'number') return 'max_tokens: Field required'
  if (!Array.isArray(messages) || messages.length === 0) return 'messages: at least one message is required'
  if (messages.some(({ role }) => role !== 'user' && role !== 'assistant')) return 'messages: Unexpected role'
  const last = messages.at(-1)?.content
  const tools = (body.tools ?? []).map(({ name, input_schema: schema }) => ({
    name,
    properties: schema?.properties ?? {},
  }))
  return {
    model,
    streamed: body.stream === true,
    said: JSON.stringify([body.system ?? '', messages]),
    lastUserText: textOf(messages.findLast(({ role, content }) => role === 'user' && textOf(content) !== '')?.content),
    tools: body.tool_choice?.type === 'none' ? [] : tools,
    toolsDone: Array.isArray(last) && last.some(({ type }) => type === 'tool_result'),
    parallel: body.tool_choice?.disable_parallel_tool_use !== true,
    maxTokens,
  }
}

/** Anthropic counts input without what the cache read or wrote (providers §2.2). */
function usageJson(plan: Plan, scenario: Scenario, only?: 'input' | 'output'): string | null {
  if (scenario.usage === 'none') return null
  if (scenario.usageText !== undefined && only !== 'input') return scenario.usageText
  const { input, output, cached, cacheWrite } = saidTokens(plan.tokens, scenario)
  const inputs = {
    input_tokens: input - cached - cacheWrite,
    cache_creation_input_tokens: cacheWrite,
    cache_read_input_tokens: cached,
  }
  if (only === 'output') return JSON.stringify({ output_tokens: output })
  return JSON.stringify({
    ...inputs,
    output_tokens: only === 'input' ? Math.min(1, output) : output,
    service_tier: 'standard',
  })
}

const stopReasons = { stop: 'end_turn', length: 'max_tokens', tool_calls: 'tool_use' } as const

function blocksOf(plan: Plan): { start: object; deltas: object[]; extra: object[]; whole: object }[] {
  const thought = plan.thought
    ? [
        {
          start: { type: 'thinking', thinking: '', signature: '' },
          deltas: [{ type: 'thinking_delta', thinking: plan.thought }],
          extra: [{ type: 'signature_delta', signature: 'c2ln' }],
          whole: { type: 'thinking', thinking: plan.thought, signature: 'c2ln' },
        },
      ]
    : []
  const text = plan.pieces.length
    ? [
        {
          start: { type: 'text', text: '' },
          deltas: plan.pieces.map((piece) => ({ type: 'text_delta', text: piece })),
          extra: [],
          whole: { type: 'text', text: plan.pieces.join('') },
        },
      ]
    : []
  const tools = plan.tools.map((tool) => {
    const id = tool.id.replace('call_', 'toolu_')
    return {
      start: { type: 'tool_use', id, name: tool.name, input: {} },
      deltas: tool.pieces.map((piece) => ({ type: 'input_json_delta', partial_json: piece })),
      extra: [],
      whole: { type: 'tool_use', id, name: tool.name, input: JSON.parse(tool.arguments) },
    }
  })
  return [...thought, ...text, ...tools]
}

/** A reply of the Messages API. */
export function renderMessages(plan: Plan, scenario: Scenario): Rendered {
  let nth = 0
  const event = (value: { type: string }, usage: string | null = null) =>
    sseEvent(withUsage(value, usage), scenario, value.type, nth++)
  const message = { id: `msg_${plan.id}`, type: 'message', role: 'assistant', model: plan.model }
  const open = { stop_reason: null, stop_sequence: null }
  const started = usageJson(plan, scenario, 'input')
  const ended = usageJson(plan, scenario, 'output')
  const blocks = blocksOf(plan)
  const whole = usageJson(plan, scenario)
  const stop = { stop_reason: stopReasons[plan.finish], stop_sequence: null }
  const content = blocks.flatMap(({ start, deltas, extra }, index) => [
    event({ type: 'content_block_start', ...{ index, content_block: start } } as { type: string }),
    ...[...deltas, ...extra].map((delta) =>
      event({ type: 'content_block_delta', ...{ index, delta } } as { type: string }),
    ),
    event({ type: 'content_block_stop', ...{ index } } as { type: string }),
  ])
  const first = { type: 'message_start', message: { ...message, content: [], ...open, ...usageSlot(started) } }
  const last = { type: 'message_delta', delta: stop, ...usageSlot(ended) }
  return {
    contentType: 'text/event-stream; charset=utf-8',
    headers: { 'request-id': `req_${plan.id}` },
    head: [event(first, started), event({ type: 'ping' })],
    content,
    closing: [event(last, ended), ...(scenario.done === 'none' ? [] : [event({ type: 'message_stop' })])],
    failure: event({ type: 'error', ...{ error: { type: 'overloaded_error', message: 'Overloaded' } } } as {
      type: string
    }),
    whole: withUsage({ ...message, content: blocks.map((block) => block.whole), ...stop, ...usageSlot(whole) }, whole),
  }
}
