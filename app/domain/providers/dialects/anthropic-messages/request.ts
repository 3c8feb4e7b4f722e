import { readCache } from '../chat-content.ts'
import { type Chat, checkAtMost, endUser, type ReplyFormat, readChat } from '../chat-request.ts'
import { claudeThinking, defaultMaxTokens } from '../claude-models.ts'
import { conversation } from '../conversation.ts'
import type { ChatRequestInput } from '../dialect.ts'
import { compact, type Json } from '../json-object.ts'
import { refuse, refuseJsonObject } from '../refuse.ts'
import { provider } from './content.ts'
import { contentOf } from './messages.ts'
import { tools } from './tools.ts'

const taken = ['stop', 'top_k', 'service_tier', 'cache_control']

const tiers: Record<string, string> = { auto: 'auto', default: 'standard_only' }

function serviceTier(value: unknown): string | null {
  if (value === undefined) return null
  return tiers[String(value)] ?? refuse('service_tier', `must be 'auto' or 'default' for ${provider}.`)
}

/** `metadata` holds nothing but the end user here. */
function metadata(chat: Chat): Json | null {
  const { user_id: named, ...others } = chat.metadata
  const other = Object.keys(others)[0]
  if (other !== undefined) refuse(`metadata.${other.slice(0, 64)}`, `cannot be expressed in ${provider}.`)
  const user = endUser(chat.members) ?? named
  if (named !== undefined && named !== user) refuse('metadata.user_id', "must not differ from 'user'.")
  return user === undefined ? null : { user_id: user }
}

/** The schema's name is a label without effect; its description goes where the schema keeps one. */
export function describedSchema(format: ReplyFormat & { kind: 'json_schema' }): Json {
  return format.description === null ? format.schema : { description: format.description, ...format.schema }
}

function format(chat: Chat): Json | null {
  if (chat.format === null) return null
  if (chat.format.kind === 'json_object') return refuseJsonObject(provider)
  return { type: 'json_schema', schema: describedSchema(chat.format) }
}

function outputConfig(chat: Chat, effort: string | undefined): Json | null {
  const config = compact({ effort, format: format(chat) })
  return Object.keys(config).length > 0 ? config : null
}

/** A chat request as a request to `POST /v1/messages`. @throws DialectRefusal naming what that API cannot express */
export function messagesRequest({ body, model, streamed }: ChatRequestInput): Buffer {
  const chat = readChat(body, taken, provider)
  const { temperature, top_p, top_k, service_tier, cache_control } = chat.members
  checkAtMost(chat.members, 'temperature', 1, provider)
  const maxTokens = chat.maxTokens ?? defaultMaxTokens(model)
  const { thinking, effort } = claudeThinking(model, chat.reasoning, maxTokens)
  const { system, messages } = conversation(chat.turns, contentOf)
  const request = compact({
    model,
    max_tokens: maxTokens,
    system: system.length > 0 ? system : null,
    messages,
    ...tools(chat),
    stop_sequences: chat.stop.length > 0 ? chat.stop : null,
    temperature,
    top_p,
    top_k,
    thinking,
    output_config: outputConfig(chat, effort),
    metadata: metadata(chat),
    service_tier: serviceTier(service_tier),
    cache_control: readCache(cache_control, 'cache_control'),
    stream: streamed || null,
  })
  return Buffer.from(JSON.stringify(request))
}
