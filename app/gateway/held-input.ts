import { isUtf8 } from 'node:buffer'
import { endpoints } from './endpoints.ts'
import type { InferenceRequest } from './inference-request.ts'
import { withoutEscapes } from './json-escapes.ts'
import type { Member } from './json-members.ts'
import { textTokens } from './text-tokens.ts'

/**
 * Tokens that are set aside for a part of the input that is no text, whatever its size: what the dearest of the usual models
 * count for one, since an address does not say what lies behind it, and bytes of a picture are no tokens. Audio: ten minutes.
 */
const partTokens = { image: 5_000, audio: 20_000, file: 50_000, video: 50_000 } as const

const partKinds: Record<string, keyof typeof partTokens> = {
  ...{ image_url: 'image', input_image: 'image', image: 'image' },
  ...{ input_audio: 'audio', audio_url: 'audio', audio: 'audio' },
  ...{ file: 'file', input_file: 'file', document: 'file' },
  ...{ video_url: 'video', input_video: 'video', video: 'video' },
}

/** A quick look: most inputs hold nothing but text and need not be parsed. A letter of these names may be written as an escape. */
const mayHoldParts = ['image', 'audio', 'file', 'document', 'video', '\\u00'].map((name) => Buffer.from(name))

const addressNames = new Set(['url', 'image_url', 'audio_url', 'video_url', 'file_url', 'data', 'file_data', 'image'])
/** Where it lies, or bytes that are no text. */
const address =
  /^(?:https?:|data:(?:image|audio|video)\/|data:application\/(?:pdf|octet-stream|vnd|msword|zip)|[\w+/-]*={0,2}$)/i

/** A text file in the request is read as the text it is. */
const encodedText = /^data:text\/[^,]*;base64,/i
/** A file that does not say what it is: some providers go by its name. */
const encodedFile = /^(?:data:application\/octet-stream[^,]*,)?(?=[\w+/-]*={0,2}$)/i

const isText = (bytes: Buffer): boolean => isUtf8(bytes) && bytes.toString('latin1', 0, 4) !== '%PDF'

function addressTokens(name: string, value: string): number {
  const file = name === 'file_data' ? encodedFile.exec(value)?.[0] : undefined
  if (file !== undefined) {
    const bytes = Buffer.from(value.slice(file.length), 'base64')
    return isText(bytes) ? textTokens(bytes) : 0
  }
  if (address.test(value)) return 0
  const encoded = encodedText.exec(value)?.[0]
  return textTokens(encoded ? Buffer.from(value.slice(encoded.length), 'base64') : Buffer.from(value))
}

/**
 * A part that calls itself an image has its words read all the same: nothing but what is known to be none is left out. `isPart`: the
 * value lies in a part, but in none of its contents. The loops are bare: a body may hold a million values, and everybody waits for it.
 */
function valueTokens(name: string, value: unknown, isPart: boolean): number {
  if (typeof value === 'string')
    return isPart && addressNames.has(name) ? addressTokens(name, value) : textTokens(Buffer.from(value))
  if (typeof value !== 'object' || value === null) return 1
  let sum = 0
  if (Array.isArray(value)) {
    for (const each of value) sum += valueTokens(name, each, isPart && name !== 'content')
    return sum
  }
  const members = value as Record<string, unknown>
  const { type } = members
  const kind = typeof type === 'string' && Object.hasOwn(partKinds, type) ? partKinds[type] : undefined
  if (kind) sum = partTokens[kind]
  // The source of a document may be its text.
  const inside = kind !== undefined || (isPart && name !== 'content' && type !== 'text')
  for (const member in members)
    sum += valueTokens(member, members[member], inside) + textTokens(Buffer.from(member)) + 1
  return sum
}

const writtenTokens = (bytes: Buffer): number => textTokens(withoutEscapes(bytes))

function inputTokens(bytes: Buffer): number {
  if (!mayHoldParts.some((name) => bytes.includes(name))) return writtenTokens(bytes)
  try {
    return valueTokens('', JSON.parse(bytes.toString('utf8')), false)
  } catch {
    return writtenTokens(bytes) // The provider will refuse it.
  }
}

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
  const keeps = endpoint === 'responses' && keptThere.some((name) => (members.get(name)?.kind ?? 'scalar') !== 'scalar')
  let sum = keeps ? keptTokens : 0
  const tokensOf = (name: string, { start, end, kind }: Member): number => {
    const value = bytes.subarray(start, end)
    if (name !== input || kind !== 'array') return writtenTokens(value)
    return endpoint === 'embeddings' && !value.includes('"') ? countNumbers(value) : inputTokens(value)
  }
  for (const [name, member] of members) if (member.kind !== 'scalar' && !unread.has(name)) sum += tokensOf(name, member)
  return Math.ceil(sum)
}
