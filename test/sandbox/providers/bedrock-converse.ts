import { EventStreamCodec } from '@smithy/eventstream-codec'
import type { Scenario } from '../openrouter/scenario.ts'
import {
  type Ask,
  type AskedTool,
  type Plan,
  type Rendered,
  saidTokens,
  textOf,
  usageSlot,
  withUsage,
} from './reply.ts'

interface ConverseBody {
  messages?: { role: string; content: { text?: string; toolResult?: unknown }[] }[]
  system?: unknown
  inferenceConfig?: { maxTokens?: number }
  toolConfig?: {
    tools?: { toolSpec?: { name: string; inputSchema?: { json?: { properties?: AskedTool['properties'] } } } }[]
  }
}

/** Reads a Converse request. A text in place of it is what Bedrock would say is wrong. */
export function readConverse(body: ConverseBody, model: string, streamed: boolean): Ask | string {
  const { messages } = body
  if (!Array.isArray(messages) || messages.length === 0) return 'messages: at least one message is required'
  if (messages.some(({ content }) => !Array.isArray(content))) return 'messages.content: expected a list'
  const specs = (body.toolConfig?.tools ?? []).flatMap(({ toolSpec }) => (toolSpec ? [toolSpec] : []))
  return {
    model,
    streamed,
    said: JSON.stringify([body.system ?? '', messages]),
    lastUserText: textOf(messages.findLast(({ role, content }) => role === 'user' && textOf(content) !== '')?.content),
    tools: specs.map(({ name, inputSchema }) => ({ name, properties: inputSchema?.json?.properties ?? {} })),
    toolsDone: messages.at(-1)?.content.some((block) => block.toolResult !== undefined) ?? false,
    parallel: true,
    maxTokens: body.inferenceConfig?.maxTokens ?? null,
  }
}

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes as Uint8Array).toString('utf8'),
  (text) => Buffer.from(text),
)

const header = (value: string) => ({ type: 'string' as const, value })

function frame(kind: 'event' | 'exception', name: string, body: string): Buffer {
  const headers = {
    [kind === 'event' ? ':event-type' : ':exception-type']: header(name),
    ':content-type': header('application/json'),
    ':message-type': header(kind),
  }
  return Buffer.from(codec.encode({ headers, body: Buffer.from(body) }))
}

/** Bedrock counts input without what the cache read or wrote (providers §2.2). */
function usageJson({ tokens }: Plan, scenario: Scenario): string | null {
  if (scenario.usage === 'none') return null
  if (scenario.usageText !== undefined) return scenario.usageText
  const { input, output, cached, cacheWrite } = saidTokens(tokens, scenario)
  return JSON.stringify({
    inputTokens: input - cached - cacheWrite,
    outputTokens: output,
    totalTokens: input + output,
    cacheReadInputTokens: cached,
    cacheWriteInputTokens: cacheWrite,
  })
}

const stopReasons = { stop: 'end_turn', length: 'max_tokens', tool_calls: 'tool_use' } as const
const event = (name: string, value: unknown, usage: string | null = null) =>
  frame('event', name, withUsage(value, usage))

function blocksOf(plan: Plan): { start: object | null; deltas: object[]; whole: object }[] {
  const reasoning = plan.thought
    ? [
        {
          start: null,
          deltas: [{ reasoningContent: { text: plan.thought } }, { reasoningContent: { signature: 'c2ln' } }],
          whole: { reasoningContent: { reasoningText: { text: plan.thought, signature: 'c2ln' } } },
        },
      ]
    : []
  const text = plan.pieces.length
    ? [{ start: null, deltas: plan.pieces.map((piece) => ({ text: piece })), whole: { text: plan.pieces.join('') } }]
    : []
  const tools = plan.tools.map(({ id, name, pieces, arguments: args }) => {
    const toolUseId = id.replace('call_', 'tooluse_')
    return {
      start: { toolUse: { toolUseId, name } },
      deltas: pieces.map((piece) => ({ toolUse: { input: piece } })),
      whole: { toolUse: { toolUseId, name, input: JSON.parse(args) } },
    }
  })
  return [...reasoning, ...text, ...tools]
}

/** A reply of the Converse API: JSON, or frames of AWS's binary event stream. */
export function renderConverse(plan: Plan, scenario: Scenario): Rendered {
  const blocks = blocksOf(plan)
  const usage = usageJson(plan, scenario)
  const stopReason = stopReasons[plan.finish]
  const content = blocks.flatMap(({ start, deltas }, contentBlockIndex) => [
    ...(start ? [event('contentBlockStart', { contentBlockIndex, start })] : []),
    ...deltas.map((delta) => event('contentBlockDelta', { contentBlockIndex, delta })),
    event('contentBlockStop', { contentBlockIndex }),
  ])
  const metrics = { latencyMs: 120 }
  return {
    contentType: 'application/vnd.amazon.eventstream',
    headers: { 'x-amzn-requestid': plan.id },
    head: [event('messageStart', { role: 'assistant' })],
    content,
    closing: [
      event('messageStop', { stopReason }),
      ...(scenario.done === 'none' ? [] : [event('metadata', { metrics, ...usageSlot(usage) }, usage)]),
    ],
    failure: frame('exception', 'modelStreamErrorException', JSON.stringify({ message: 'The model failed' })),
    whole: withUsage(
      {
        output: { message: { role: 'assistant', content: blocks.map((block) => block.whole) } },
        stopReason,
        metrics,
        ...usageSlot(usage),
      },
      usage,
    ),
  }
}
