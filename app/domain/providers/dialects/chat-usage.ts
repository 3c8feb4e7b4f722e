import { type Json, objectOf } from './json-object.ts'

/** What a provider said of a call's tokens, each as it stands in the reply; undefined or null is "not said". */
export interface SaidTokens {
  /** Input without what was read from or written to the cache. */
  freshInput?: unknown
  /** Input with both. Given instead of `freshInput`. */
  allInput?: unknown
  cacheRead: unknown
  cacheWrite: unknown
  /** Part of `cacheWrite` that is kept for an hour, which costs more than the usual five minutes. */
  cacheWriteHour?: unknown
  output: unknown
  reasoning: unknown
  /** Tools of the provider's own that it used, with their counts: `{"web_search_requests":2}`. */
  serverTools?: unknown
  /** Details of input and output as they stand in the reply, for the counts of audio, images and video in them. */
  inputDetails?: unknown
  outputDetails?: unknown
}

const media = ['audio_tokens', 'image_tokens', 'video_tokens']

/** Counts as they stand, without those of 0: whoever prices them reads them. */
const countsOf = (block: unknown, names = Object.keys(objectOf(block))): Json =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = objectOf(block)[name]
      return value === undefined || value === null || value === 0 ? [] : [[name, value]]
    }),
  )

/** More tokens than any model can take; a larger number is a mistake or an attack, not a measurement. */
const mostTokens = 100_000_000

/** A count of tokens; null when it is none. A number that was kept as text (1e3, 1.0, 2^53 + 1) is none either. */
function tokens(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= mostTokens ? value : null
}

/**
 * OpenAI's usage, in which input includes cache reads and writes, and output includes reasoning. Null when anything is
 * missing or cannot be true: unknown is not zero.
 */
export function chatUsage(said: SaidTokens): Json | null {
  const [read, written, reasoning, hour] = [said.cacheRead, said.cacheWrite, said.reasoning, said.cacheWriteHour].map(
    (value) => tokens(value ?? 0),
  )
  const fresh = said.allInput === undefined ? tokens(said.freshInput) : 0
  const all = said.allInput === undefined ? 0 : tokens(said.allInput)
  const output = tokens(said.output)
  if (read == null || written == null || hour == null || reasoning == null) return null
  if (fresh === null || all === null || output === null) return null
  const input = said.allInput === undefined ? fresh + read + written : all
  const reasons = (said.reasoning ?? null) === null ? {} : { reasoning_tokens: reasoning }
  const outputDetails = { ...reasons, ...countsOf(said.outputDetails, media) }
  const tools = countsOf(said.serverTools)
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: {
      cached_tokens: read,
      cache_write_tokens: written,
      ...(hour ? { cache_write_1h_tokens: hour } : {}),
      ...countsOf(said.inputDetails, media),
    },
    ...(Object.keys(outputDetails).length ? { completion_tokens_details: outputDetails } : {}),
    ...(Object.keys(tools).length ? { server_tool_use: tools } : {}),
  }
}

/** Later counts over earlier ones, name by name: streams repeat growing counts, which are never added up. */
export function latest(earlier: Json, later: unknown): Json {
  const said = Object.entries(objectOf(later)).filter(([, value]) => value !== null)
  return { ...earlier, ...Object.fromEntries(said) }
}
