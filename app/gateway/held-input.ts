import type { Member } from '#app/platform/json-members.ts'
import { endpoints } from './endpoints.ts'
import type { InferenceRequest } from './inference-request.ts'
import { withoutEscapes } from './json-escapes.ts'
import { partTokens } from './part-tokens.ts'
import { textTokens } from './text-tokens.ts'

const writtenTokens = (bytes: Buffer): number => textTokens(withoutEscapes(bytes))

/** Lists of numbers are tokens already. */
function countNumbers(bytes: Buffer): number {
  let sum = 1
  for (const byte of bytes) if (byte === 0x2c) sum += 1
  return sum
}

/** Members that no model reads. Of all others some host's model may. */
const unread = new Set([
  ...['model', 'user', 'metadata', 'stream_options', 'logit_bias', 'prompt_cache_key', 'safety_identifier'],
  ...['previous_response_id', 'conversation'],
])

/** Members by which a provider adds what it keeps of its own to a Responses input, and tokens that are set aside for it. */
const keptThere = ['previous_response_id', 'conversation', 'prompt']
const keptTokens = 50_000

/**
 * Input tokens that are set aside for a call where credits or hard budgets pay for it: what the model may read, by its bytes
 * (text-tokens.ts), and a constant for each image, audio, file or video in it, and for what the provider keeps of a conversation.
 */
export function heldInputTokens({ endpoint, bytes, members }: InferenceRequest): number {
  const input = endpoints[endpoint].input.member
  let keeps = keptThere.some((name) => (members.get(name)?.kind ?? 'scalar') !== 'scalar')
  let sum = 0
  const tokensOf = (name: string, { start, end, kind }: Member): number => {
    const value = bytes.subarray(start, end)
    if (name !== input || kind !== 'array') return writtenTokens(value)
    if (endpoint === 'embeddings' && !value.includes('"')) return countNumbers(value)
    const { tokens, refers } = partTokens(value)
    keeps ||= refers
    return tokens
  }
  for (const [name, member] of members) if (member.kind !== 'scalar' && !unread.has(name)) sum += tokensOf(name, member)
  return Math.ceil(sum) + (keeps && endpoint === 'responses' ? keptTokens : 0)
}
