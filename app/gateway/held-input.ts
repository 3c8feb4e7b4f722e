import { endpoints } from './endpoints.ts'
import type { InferenceRequest } from './inference-request.ts'

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

interface Parts {
  tokens: number
  /** Of their addresses and encoded bytes, which are not counted again. */
  bytes: number
}

const addressNames = new Set(['url', 'image_url', 'audio_url', 'video_url', 'file_url', 'data', 'file_data', 'image'])
/** Where it lies, or bytes that are no text: a text file in the request is read as the text it is. */
const address =
  /^(?:https?:|data:(?:image|audio|video)\/|data:application\/(?:pdf|octet-stream|vnd|msword|zip)|[\w+/-]*={0,2}$)/i

function addressBytes(part: object): number {
  return Object.entries(part).reduce((sum, [name, value]) => {
    if (typeof value === 'string')
      return addressNames.has(name) && address.test(value) ? sum + Buffer.byteLength(value) : sum
    return typeof value === 'object' && value !== null && name !== 'content' ? sum + addressBytes(value) : sum
  }, 0)
}

/** A message that calls itself an image has its words read all the same: nothing but what is known to be none is left out. */
function addParts(value: unknown, parts: Parts): void {
  if (typeof value !== 'object' || value === null) return
  const { type, content } = value as { type?: unknown; content?: unknown }
  const kind = typeof type === 'string' && Object.hasOwn(partKinds, type) ? partKinds[type] : undefined
  if (kind) {
    parts.tokens += partTokens[kind]
    parts.bytes += addressBytes(value)
    addParts(content, parts)
  } else for (const each of Object.values(value)) addParts(each, parts)
}

function partsOf(bytes: Buffer): Parts {
  const parts = { tokens: 0, bytes: 0 }
  if (!mayHoldParts.some((name) => bytes.includes(name))) return parts
  try {
    addParts(JSON.parse(bytes.toString('utf8')), parts)
  } catch {
    // The provider will refuse it; until then it counts by its bytes.
  }
  return parts
}

/** Members beside the input that the model reads. */
const alsoRead = ['instructions', 'query', 'tools', 'response_format']

/**
 * Input tokens that are set aside for a call where credits or hard budgets pay for it: a quarter of the bytes of what the model
 * reads, and a constant for each image, audio, file or video in it.
 */
export function heldInputTokens({ endpoint, bytes, members }: InferenceRequest): number {
  const input = members.get(endpoints[endpoint].input.member)
  const sizeOf = (name: string) => {
    const member = members.get(name)
    return member ? member.end - member.start : 0
  }
  const beside = alsoRead.reduce((sum, name) => sum + sizeOf(name), 0)
  if (!input) return Math.ceil(beside / 4)
  const parts = input.kind === 'array' ? partsOf(bytes.subarray(input.start, input.end)) : { tokens: 0, bytes: 0 }
  return Math.ceil((beside + Math.max(0, input.end - input.start - parts.bytes)) / 4) + parts.tokens
}
