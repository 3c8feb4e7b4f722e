import type { DialectName } from '../provider.ts'
import { anthropicMessages } from './anthropic-messages/anthropic-messages.ts'
import { bedrockConverse } from './bedrock-converse/bedrock-converse.ts'
import type { Dialect } from './dialect.ts'
import { openaiResponses } from './openai-responses/openai-responses.ts'

const dialects: Partial<Record<DialectName, Dialect>> = {
  'anthropic-messages': anthropicMessages,
  'bedrock-converse': bedrockConverse,
  'openai-responses': openaiResponses,
}

/** The translation of a wire format; null for OpenAI's own, which needs none. @throws Error for one that is not built in */
export function dialectNamed(name: DialectName): Dialect | null {
  if (name === 'openai') return null
  const dialect = dialects[name]
  if (!dialect) throw new Error(`no dialect ${name}`)
  return dialect
}
