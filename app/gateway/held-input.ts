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

/** A quick look: most inputs hold nothing but text and need not be parsed. */
const mayHoldParts = ['image', 'audio', 'file', 'document', 'video'].map((name) => Buffer.from(name))

interface Parts {
  tokens: number
  /** Of the texts within them, which are not counted again. In bytes. */
  bytes: number
}

function bytesIn(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (typeof value !== 'object' || value === null) return 0
  return Object.values(value).reduce((sum: number, each) => sum + bytesIn(each), 0)
}

function addParts(value: unknown, parts: Parts): void {
  if (typeof value !== 'object' || value === null) return
  const { type } = value as { type?: unknown }
  const kind = typeof type === 'string' && Object.hasOwn(partKinds, type) ? partKinds[type] : undefined
  if (kind) {
    parts.tokens += partTokens[kind]
    parts.bytes += bytesIn(value)
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
