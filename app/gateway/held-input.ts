import { endpoints } from './endpoints.ts'
import type { InferenceRequest } from './inference-request.ts'
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

function addressTokens(value: string): number {
  if (address.test(value)) return 0
  const encoded = encodedText.exec(value)?.[0]
  return textTokens(encoded ? Buffer.from(value.slice(encoded.length), 'base64') : Buffer.from(value))
}

/**
 * A part that calls itself an image has its words read all the same: nothing but what is known to be none is left out. `isPart`: the
 * value lies in a part, but in none of its contents.
 */
function valueTokens(name: string, value: unknown, isPart: boolean): number {
  if (typeof value === 'string')
    return isPart && addressNames.has(name) ? addressTokens(value) : textTokens(Buffer.from(value))
  if (typeof value !== 'object' || value === null) return 1
  const { type } = value as { type?: unknown }
  const kind = typeof type === 'string' && Object.hasOwn(partKinds, type) ? partKinds[type] : undefined
  const inside = kind !== undefined || (isPart && name !== 'content')
  const isList = Array.isArray(value)
  return Object.entries(value).reduce(
    (sum, [member, each]) =>
      sum + valueTokens(isList ? name : member, each, inside) + (isList ? 0 : textTokens(Buffer.from(member)) + 1),
    kind ? partTokens[kind] : 0,
  )
}

function inputTokens(bytes: Buffer): number {
  if (!mayHoldParts.some((name) => bytes.includes(name))) return textTokens(bytes)
  try {
    return valueTokens('', JSON.parse(bytes.toString('utf8')), false)
  } catch {
    return textTokens(bytes) // The provider will refuse it.
  }
}

/** Members beside the input that the model reads. */
const alsoRead = ['instructions', 'query', 'tools', 'response_format']

/**
 * Input tokens that are set aside for a call where credits or hard budgets pay for it: what the model reads, by its bytes
 * (text-tokens.ts), and a constant for each image, audio, file or video in it.
 */
export function heldInputTokens({ endpoint, bytes, members }: InferenceRequest): number {
  const input = members.get(endpoints[endpoint].input.member)
  const bytesOf = ({ start, end }: { start: number; end: number }) => bytes.subarray(start, end)
  const beside = alsoRead.reduce((sum, name) => {
    const member = members.get(name)
    return member ? sum + textTokens(bytesOf(member)) : sum
  }, 0)
  if (!input) return Math.ceil(beside)
  const read = input.kind === 'array' ? inputTokens(bytesOf(input)) : textTokens(bytesOf(input))
  return Math.ceil(beside + read)
}
