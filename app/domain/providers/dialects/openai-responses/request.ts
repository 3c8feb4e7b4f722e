import { type Chat, readChat } from '../chat-request.ts'
import type { Tool } from '../chat-tools.ts'
import type { ChatRequestInput } from '../dialect.ts'
import { compact, type Json, objectOf } from '../json-object.ts'
import { refuse, unsupported } from '../refuse.ts'
import { inputItems, provider } from './input.ts'

/** Members that mean the same in both of OpenAI's APIs and go on as they stand. */
const shared = [
  ...['temperature', 'top_p', 'user', 'safety_identifier', 'metadata', 'service_tier'],
  ...['prompt_cache_key', 'prompt_cache_retention', 'prompt_cache_options'],
]

const taken = [...shared, 'verbosity']

function tool({ name, description, parameters, strict, cache, at }: Tool): Json {
  if (cache) unsupported(`${at}.cache_control`, provider)
  // Responses takes silence for strict, chat for not strict: the caller's meaning has to be said.
  return { type: 'function', name, ...(description === null ? {} : { description }), parameters, strict }
}

function tools(chat: Chat): Json {
  if (chat.tools.length === 0) return {}
  const { toolChoice: choice } = chat
  return compact({
    tools: chat.tools.map(tool),
    tool_choice: choice?.kind === 'named' ? { type: 'function', name: choice.name } : choice?.kind,
    parallel_tool_calls: chat.members.parallel_tool_calls,
  })
}

function text(chat: Chat): Json | null {
  const { format } = chat
  const wanted =
    format?.kind === 'json_schema'
      ? compact({
          type: 'json_schema',
          name: format.name,
          description: format.description,
          schema: format.schema,
          strict: format.strict,
        })
      : format && { type: 'json_object' }
  const config = compact({ format: wanted, verbosity: chat.members.verbosity })
  return Object.keys(config).length > 0 ? config : null
}

function reasoning(chat: Chat): Json | null {
  if (chat.reasoning === null) return null
  const { effort, budget, summary } = chat.reasoning
  if (budget !== null) refuse('reasoning.max_tokens', `cannot be expressed in ${provider}; it takes an effort.`)
  return compact({ effort, summary })
}

/** Asked for where the caller asks for reasoning, or gives some back: other models refuse a request that asks. */
function include(chat: Chat, input: Json[]): string[] | null {
  const reasons = chat.reasoning !== null && chat.reasoning.effort !== 'none'
  return reasons || input.some((item) => item.type === 'reasoning') ? ['reasoning.encrypted_content'] : null
}

function streamOptions(chat: Chat): Json | null {
  const { include_obfuscation } = objectOf(chat.members.stream_options)
  return typeof include_obfuscation === 'boolean' ? { include_obfuscation } : null
}

/**
 * A chat request as a request to `POST /responses` that leaves nothing in the provider's store.
 * @throws DialectRefusal naming what that API cannot express
 */
export function responsesRequest({ body, model, streamed }: ChatRequestInput): Buffer {
  const chat = readChat(body, taken, provider)
  const input = inputItems(chat.turns)
  const request = compact({
    model,
    input,
    store: false,
    ...tools(chat),
    max_output_tokens: chat.maxTokens,
    text: text(chat),
    reasoning: reasoning(chat),
    include: include(chat, input),
    ...Object.fromEntries(shared.map((name) => [name, chat.members[name]])),
    stream: streamed || null,
    stream_options: streamed ? streamOptions(chat) : null,
  })
  return Buffer.from(JSON.stringify(request))
}
