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

interface ResponsesBody {
  model?: unknown
  input?: unknown
  instructions?: string
  stream?: boolean
  max_output_tokens?: number
  parallel_tool_calls?: boolean
  tool_choice?: unknown
  tools?: { type: string; name: string; parameters?: { properties?: AskedTool['properties'] } }[]
}

type Item = { type?: string; role?: string; content?: unknown }

/** Reads a Responses request; null where it is none. */
export function readResponses(body: ResponsesBody): Ask | null {
  const { model, input } = body
  if (typeof model !== 'string' || (typeof input !== 'string' && !Array.isArray(input))) return null
  const items: Item[] = typeof input === 'string' ? [{ role: 'user', content: input }] : (input as Item[])
  const functions = (body.tools ?? []).filter((tool) => tool.type === 'function')
  return {
    model,
    streamed: body.stream === true,
    said: JSON.stringify([body.instructions ?? '', items]),
    lastUserText: textOf(items.findLast((item) => item.role === 'user')?.content),
    tools:
      body.tool_choice === 'none'
        ? []
        : functions.map(({ name, parameters }) => ({ name, properties: parameters?.properties ?? {} })),
    toolsDone: items.at(-1)?.type === 'function_call_output',
    parallel: body.parallel_tool_calls !== false,
    maxTokens: body.max_output_tokens ?? null,
  }
}

function usageJson({ tokens }: Plan, scenario: Scenario): string | null {
  if (scenario.usage === 'none') return null
  if (scenario.usageText !== undefined) return scenario.usageText
  const { input, output, cached, reasoning } = saidTokens(tokens, scenario)
  return JSON.stringify({
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  })
}

type Event = [name: string, value: Record<string, unknown>]

/** One item of the output: its finished form, and the events that build it. */
function itemsOf(plan: Plan): { item: Record<string, unknown>; opening: Event[]; deltas: Event[]; ending: Event[] }[] {
  const thought = plan.thought
    ? [{ item: { id: `rs_${plan.id}`, type: 'reasoning', summary: [] }, opening: [], deltas: [], ending: [] }]
    : []
  const text = plan.pieces.join('')
  const id = `msg_${plan.id}`
  const part = (said: string) => ({ type: 'output_text', text: said, annotations: [] })
  const at = { item_id: id, content_index: 0 }
  const message = plan.pieces.length
    ? [
        {
          item: { id, type: 'message', status: 'completed', role: 'assistant', content: [part(text)] },
          opening: [['response.content_part.added', { ...at, part: part('') }] as Event],
          deltas: plan.pieces.map((delta): Event => ['response.output_text.delta', { ...at, delta }]),
          ending: [
            ['response.output_text.done', { ...at, text }],
            ['response.content_part.done', { ...at, part: part(text) }],
          ] as Event[],
        },
      ]
    : []
  const calls = plan.tools.map((tool) => {
    const callId = tool.id.replace('call_', 'fc_')
    return {
      item: {
        id: callId,
        type: 'function_call',
        status: 'completed',
        call_id: tool.id,
        name: tool.name,
        arguments: tool.arguments,
      },
      opening: [],
      deltas: tool.pieces.map((delta): Event => ['response.function_call_arguments.delta', { item_id: callId, delta }]),
      ending: [['response.function_call_arguments.done', { item_id: callId, arguments: tool.arguments }]] as Event[],
    }
  })
  return [...thought, ...message, ...calls]
}

/** The finished item as it looks before anything is in it. */
const emptied = (item: Record<string, unknown>) => ({
  ...item,
  ...(item.status ? { status: 'in_progress' } : {}),
  ...(item.content ? { content: [] } : {}),
  ...(item.arguments === undefined ? {} : { arguments: '' }),
})

/** A reply of the Responses API. */
export function renderResponses(plan: Plan, scenario: Scenario): Rendered {
  let sequence = 0
  const event = ([type, value]: Event, usage: string | null = null) =>
    sseEvent(withUsage({ type, sequence_number: sequence, ...value }, usage), scenario, type, sequence++)
  const usage = usageJson(plan, scenario)
  const items = itemsOf(plan)
  const cut = plan.finish === 'length'
  const base = { id: `resp_${plan.id}`, object: 'response', created_at: plan.created, model: plan.model, error: null }
  const running = { ...base, status: 'in_progress', output: [], usage: null }
  const finished = {
    ...base,
    status: cut ? 'incomplete' : 'completed',
    incomplete_details: cut ? { reason: 'max_output_tokens' } : null,
    output: items.map(({ item }) => item),
    ...usageSlot(usage),
  }
  const head = [
    event(['response.created', { response: running }]),
    event(['response.in_progress', { response: running }]),
  ]
  const content = items.flatMap(({ item, opening, deltas, ending }, output_index) => [
    event(['response.output_item.added', { output_index, item: emptied(item) }]),
    ...[...opening, ...deltas, ...ending].map(([type, value]) => event([type, { output_index, ...value }])),
    event(['response.output_item.done', { output_index, item }]),
  ])
  const last: Event = [cut ? 'response.incomplete' : 'response.completed', { response: finished }]
  const failed = { ...base, status: 'failed', error: { code: 'server_error', message: 'The model failed' }, output: [] }
  return {
    contentType: 'text/event-stream; charset=utf-8',
    head,
    content,
    closing: scenario.done === 'none' ? [] : [event(last, usage)],
    failure: event(['response.failed', { response: failed }]),
    whole: withUsage(finished, usage),
  }
}
