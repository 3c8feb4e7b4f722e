import type { ProviderId } from '#app/domain/providers/provider.ts'
import type { Tokens } from '../openrouter/completion.ts'
import type { Scenario } from '../openrouter/scenario.ts'
import { rawJson } from './raw-json.ts'
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

interface ChatBody {
  model?: unknown
  messages?: { role: string; content?: unknown }[]
  stream?: boolean
  stream_options?: { include_usage?: boolean }
  max_tokens?: number
  max_completion_tokens?: number
  tools?: { function: { name: string; parameters?: { properties?: AskedTool['properties'] } } }[]
  tool_choice?: unknown
  parallel_tool_calls?: boolean
}

/** Members that NVIDIA's schema knows; everything else is refused there. */
const nvidiaMembers = new Set(
  'model messages stream stream_options max_tokens temperature top_p n stop seed frequency_penalty presence_penalty logit_bias logprobs top_logprobs tools tool_choice response_format reasoning_effort chat_template_kwargs nvext user'.split(
    ' ',
  ),
)

/** What a strict provider says of a member that it does not know; null where it has nothing to say. */
export function strictRefusal(provider: ProviderId, body: object): string | null {
  const extra = provider === 'nvidia' ? Object.keys(body).find((name) => !nvidiaMembers.has(name)) : undefined
  return extra === undefined ? null : `Unsupported parameter: ${extra}. Extra inputs are not permitted`
}

/** Reads a chat request; null where it is none. Azure's model is the deployment in its path. */
export function readChat(provider: ProviderId, body: ChatBody, deployment: string | null): Ask | null {
  const model = deployment ?? body.model
  if (typeof model !== 'string' || !Array.isArray(body.messages) || body.messages.length === 0) return null
  const { messages } = body
  const tools = (body.tools ?? []).map((tool) => ({
    name: tool.function.name,
    properties: tool.function.parameters?.properties ?? {},
  }))
  return {
    model,
    streamed: body.stream === true,
    said: JSON.stringify(messages),
    lastUserText: textOf(messages.findLast((message) => message.role === 'user')?.content),
    tools: body.tool_choice === 'none' ? [] : tools,
    toolsDone: messages.at(-1)?.role === 'tool',
    parallel: body.parallel_tool_calls !== false && provider !== 'sambanova',
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? null,
  }
}

type Usage = Record<string, unknown>

/** What is different in a provider's usage block (providers §2.2). */
const quirks: Partial<Record<ProviderId, (tokens: Tokens) => Usage>> = {
  // reasoning stands outside of completion, and inside of the total
  xai: ({ output, reasoning }) => ({ completion_tokens: output - reasoning }),
  google: ({ output, reasoning }) => ({
    completion_tokens: output - reasoning,
    prompt_tokens_details: undefined,
    completion_tokens_details: undefined,
  }),
  deepseek: ({ input, cached }) => ({ prompt_cache_hit_tokens: cached, prompt_cache_miss_tokens: input - cached }),
  groq: () => ({ queue_time: 0.01, prompt_time: 0.002, completion_time: 0.1, total_time: 0.102 }),
  sambanova: () => ({ time_to_first_token: 0.1, total_latency: 0.3, completion_tokens_per_sec: 210.5 }),
  openrouter: ({ input, output }) => ({
    cost: rawJson(((input + 8 * output) / 4_000_000).toFixed(12).replace(/0+$/, '0')),
    is_byok: false,
  }),
}

/** The usage block as JSON text; null where the scenario leaves it out. */
export function chatUsage(provider: ProviderId, planned: Tokens, scenario: Scenario): string | null {
  if (scenario.usage === 'none') return null
  if (scenario.usageText !== undefined) return scenario.usageText
  const tokens = saidTokens(planned, scenario)
  return JSON.stringify({
    prompt_tokens: tokens.input,
    completion_tokens: tokens.output,
    total_tokens: tokens.input + tokens.output,
    prompt_tokens_details: {
      cached_tokens: tokens.cached,
      ...(tokens.cacheWrite ? { cache_write_tokens: tokens.cacheWrite } : {}),
    },
    completion_tokens_details: { reasoning_tokens: tokens.reasoning },
    ...quirks[provider]?.(tokens),
  })
}

/** Providers that never close a stream with usage, whatever is asked (nobody has seen one do it). */
const silent: ProviderId[] = ['morpheus', 'nvidia']

const idOf = (provider: ProviderId, plan: Plan) =>
  provider === 'openrouter' ? `gen-${plan.created}-${plan.id}` : `chatcmpl-${plan.id}`

function chunk(provider: ProviderId, plan: Plan, choices: unknown[], more: Usage = {}) {
  const { model, created } = plan
  return { id: idOf(provider, plan), object: 'chat.completion.chunk', created, model, choices, ...more }
}

const choice = (delta: object, finish: string | null = null) => ({
  index: 0,
  delta,
  finish_reason: finish,
  logprobs: null,
})

function deltasOf(provider: ProviderId, plan: Plan): object[] {
  const thought =
    plan.thought && ['deepseek', 'crof', 'chutes'].includes(provider) ? [{ reasoning_content: plan.thought }] : []
  const text = plan.pieces.map((content) => ({ content }))
  const calls = plan.tools.flatMap((tool, index) =>
    tool.pieces.map((piece, nth) => ({
      tool_calls: [
        nth === 0
          ? { index, id: tool.id, type: 'function', function: { name: tool.name, arguments: piece } }
          : { index, function: { arguments: piece } },
      ],
    })),
  )
  return [...thought, ...text, ...calls]
}

function streamOf(
  provider: ProviderId,
  plan: Plan,
  asked: boolean,
  scenario: Scenario,
): Pick<Rendered, 'head' | 'content' | 'closing'> {
  const usage =
    silent.includes(provider) || !(asked || provider === 'openrouter')
      ? null
      : chatUsage(provider, plan.tokens, scenario)
  const onFinish = scenario.usageOnFinish || provider === 'deepseek' || provider === 'groq'
  let nth = 0
  const event = (value: unknown, text: string | null = null) => sseEvent(withUsage(value, text), scenario, null, nth++)
  // Google repeats what was used so far on every chunk: only the last one is the whole (providers §2.2).
  const soFar = (sent: number) => {
    if (provider !== 'google' || usage === null || scenario.usageText !== undefined) return null
    const share = Math.floor((plan.tokens.output * sent) / Math.max(1, plan.pieces.length))
    return chatUsage(provider, { ...plan.tokens, output: Math.max(share, plan.tokens.reasoning) }, scenario)
  }
  const nullUsage = asked && (provider === 'openai' || provider === 'azure') ? { usage: null } : {}
  const azureFirst = {
    ...chunk(provider, plan, []),
    id: '',
    model: '',
    prompt_filter_results: [
      { prompt_index: 0, content_filter_results: { hate: { filtered: false, severity: 'safe' } } },
    ],
  }
  const head = [
    ...(provider === 'azure' ? [event(azureFirst)] : []),
    ...(provider === 'deepseek' ? [': keep-alive\n\n'] : []),
    event(chunk(provider, plan, [choice({ role: 'assistant', content: '' })], nullUsage)),
  ]
  const content = deltasOf(provider, plan).map((delta, index) => {
    const used = soFar(index + 1)
    return event(chunk(provider, plan, [choice(delta)], { ...nullUsage, ...usageSlot(used) }), used)
  })
  const groq = provider === 'groq' && usage !== null ? { x_groq: { id: 'req_1', ...usageSlot(usage) } } : {}
  const last = onFinish || provider === 'google' ? usage : null
  const finish = event(
    chunk(provider, plan, [choice({}, plan.finish)], { ...nullUsage, ...groq, ...usageSlot(last) }),
    last,
  )
  const apart = usage === null || last !== null ? [] : [event(chunk(provider, plan, [], usageSlot(usage)), usage)]
  return { head, content, closing: [finish, ...apart, ...doneEvents(provider, plan, scenario)] }
}

function doneEvents(provider: ProviderId, plan: Plan, scenario: Scenario): string[] {
  const done = sseEvent('[DONE]', scenario)
  if (scenario.done === 'none') return []
  if (scenario.done === 'twice') return [done, done]
  return scenario.done === 'then-data'
    ? [done, sseEvent(JSON.stringify(chunk(provider, plan, [choice({ content: 'late' })])), scenario)]
    : [done]
}

/** A chat reply in OpenAI's format, with the provider's own habits. */
export function renderChat(provider: ProviderId, plan: Plan, body: ChatBody, scenario: Scenario): Rendered {
  const text = plan.pieces.join('')
  const calls = plan.tools.map(({ id, name, arguments: args }) => ({
    id,
    type: 'function',
    function: { name, arguments: args },
  }))
  const message = {
    role: 'assistant',
    content: calls.length > 0 ? null : text,
    refusal: null,
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
    ...(plan.thought && provider === 'deepseek' ? { reasoning_content: plan.thought } : {}),
  }
  const usage = chatUsage(provider, plan.tokens, scenario)
  const whole = {
    id: idOf(provider, plan),
    object: 'chat.completion',
    created: plan.created,
    model: plan.model,
    choices: [{ index: 0, message, finish_reason: plan.finish, logprobs: null }],
    ...(provider === 'azure' ? { prompt_filter_results: [{ prompt_index: 0, content_filter_results: {} }] } : {}),
    ...usageSlot(usage),
  }
  const failure = { error: { message: 'The model failed', type: 'server_error', code: 'server_error', param: null } }
  return {
    contentType: 'text/event-stream; charset=utf-8',
    ...(provider === 'openrouter' ? { headers: { 'x-generation-id': idOf(provider, plan) } } : {}),
    ...streamOf(provider, plan, body.stream_options?.include_usage === true, scenario),
    failure: sseEvent(JSON.stringify(failure), scenario),
    whole: withUsage(whole, usage),
  }
}
