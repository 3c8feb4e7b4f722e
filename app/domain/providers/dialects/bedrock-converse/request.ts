import { type Chat, checkAtMost, endUser, readChat } from '../chat-request.ts'
import { defaultMaxTokens } from '../claude-models.ts'
import { conversation } from '../conversation.ts'
import type { ChatRequestInput } from '../dialect.ts'
import { compact, type Json } from '../json-object.ts'
import { refuse, refuseJsonObject } from '../refuse.ts'
import { provider } from './content.ts'
import { contentReader, usesTools } from './messages.ts'
import { reasoningFields } from './reasoning.ts'
import { tools } from './tools.ts'

const taken = ['stop', 'top_k', 'service_tier']

const tiers = ['default', 'flex', 'priority']

function serviceTier(value: unknown): Json | null {
  if (value === undefined || value === 'auto') return null
  return tiers.includes(value as string)
    ? { type: value }
    : refuse('service_tier', `must be one of auto, ${tiers.join(', ')} for ${provider}.`)
}

/** Bedrock keeps the metadata of a request in its invocation log, which is where an end user belongs too. */
function requestMetadata(chat: Chat): Json | null {
  const named = chat.metadata.user
  const user = endUser(chat.members) ?? named
  if (named !== undefined && named !== user) refuse('metadata.user', "must not differ from 'user'.")
  const metadata = compact({ ...chat.metadata, user })
  return Object.keys(metadata).length > 0 ? metadata : null
}

/** The schema travels as text. */
function outputConfig(chat: Chat): Json | null {
  if (chat.format === null) return null
  if (chat.format.kind === 'json_object') return refuseJsonObject(provider)
  const { name, description, schema } = chat.format
  const jsonSchema = compact({ schema: JSON.stringify(schema), name, description })
  return { textFormat: { type: 'json_schema', structure: { jsonSchema } } }
}

const filled = (members: Json): Json | null => (Object.keys(members).length > 0 ? members : null)

/**
 * A chat request as the body of `POST /model/{id}/converse` or `…/converse-stream`; which of the two, and the model, stand
 * in the URL. @throws DialectRefusal naming what Converse cannot express
 */
export function converseRequest({ body, model }: ChatRequestInput): Buffer {
  const chat = readChat(body, taken, provider)
  const { temperature, top_p, top_k, service_tier } = chat.members
  checkAtMost(chat.members, 'temperature', 1, provider)
  const isClaude = model.includes('claude')
  if (top_k !== undefined && !isClaude) refuse('top_k', 'is not accepted for this model on Bedrock.')
  const reader = contentReader(isClaude || model.startsWith('arn:'))
  const { system, messages } = conversation(chat.turns, reader)
  const { toolConfig, claudeChoice } = tools(chat, usesTools(chat.turns), isClaude)
  const limit = chat.maxTokens ?? defaultMaxTokens(model)
  const fields = { ...reasoningFields(model, chat.reasoning, limit), ...compact({ tool_choice: claudeChoice, top_k }) }
  const budgeted = 'thinking' in fields && (fields.thinking as Json).budget_tokens !== undefined
  const request = compact({
    system: system.length > 0 ? system : null,
    messages,
    inferenceConfig: filled(
      compact({
        // A budget for thinking is a share of the limit, so the limit it was taken of is said.
        maxTokens: budgeted ? limit : chat.maxTokens,
        temperature,
        topP: top_p,
        stopSequences: chat.stop.length > 0 ? chat.stop : null,
      }),
    ),
    toolConfig,
    outputConfig: outputConfig(chat),
    additionalModelRequestFields: filled(fields),
    requestMetadata: requestMetadata(chat),
    serviceTier: serviceTier(service_tier),
  })
  return Buffer.from(JSON.stringify(request))
}
