import { isLosslessNumber, parse } from 'lossless-json'
import { type Pico, parsePico } from '#app/platform/pico.ts'
import { toolsInOutput, toolsInOutputText, type UnitsApart, unitsInUsage } from './units-apart.ts'

/** Tokens as OpenTelemetry GenAI names them: input includes cache reads and writes, output includes reasoning. */
export interface Tokens {
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
  /** Of `cacheWrite`, what is kept for an hour: some providers charge more for that. Absent: none. */
  cacheWriteHour?: number
  reasoning: number
  /** What it used beside text: no price of text tokens holds it. Absent: nothing. */
  apart?: UnitsApart
}

/**
 * What a provider said a call used and cost. `null` means it did not say, or said something that cannot be true: unknown,
 * which is not zero. `costPico` is the raw cost before it is held against the list price.
 */
export interface UsageReport {
  tokens: Tokens | null
  costPico: Pico | null
}

const nothingReported: UsageReport = { tokens: null, costPico: null }

/** More tokens than any model can take; a larger number is a mistake or an attack, not a measurement. */
const mostTokens = 100_000_000

const wholeNumber = /^(?:0|[1-9]\d{0,8})$/

type Json = Record<string, unknown>

/** A JSON object, and neither an array nor a number that was kept as text. */
export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value)

function tokensAt(block: unknown, name: string): number | null {
  const value = isObject(block) && Object.hasOwn(block, name) ? block[name] : undefined
  if (value === undefined || value === null) return 0
  if (!isLosslessNumber(value) || !wholeNumber.test(value.value)) return null
  const count = Number(value.value)
  return count <= mostTokens ? count : null
}

/** `text`: replies with input and output. `input_only`: embeddings and rankings, which generate nothing. */
export type UsageShape = 'text' | 'input_only'

interface SaidTokens {
  input: number | null
  completion: number | null
  total: number | null
  cacheRead: number | null
  cacheWrite: number | null
  cacheWriteHour: number | null
  reasoning: number | null
}

/** Chat names its counts `prompt_tokens` and `completion_tokens`, Responses `input_tokens` and `output_tokens`. */
function saidTokens(usage: Json, shape: UsageShape): SaidTokens | null {
  const responses = isLosslessNumber(usage.input_tokens)
  const [input, output] = responses ? ['input_tokens', 'output_tokens'] : ['prompt_tokens', 'completion_tokens']
  const inputName = shape === 'input_only' && !isLosslessNumber(usage[input]) ? 'total_tokens' : input
  if (!isLosslessNumber(usage[inputName])) return null
  if (shape === 'text' && !isLosslessNumber(usage[output])) return null
  const details = usage[`${input}_details`]
  const cacheNamed = isObject(details) && isLosslessNumber(details.cached_tokens)
  return {
    input: tokensAt(usage, inputName),
    completion: tokensAt(usage, output),
    total: tokensAt(usage, 'total_tokens'),
    // DeepSeek's own name for the same count; its newer replies carry both (providers §3.3).
    cacheRead: cacheNamed ? tokensAt(details, 'cached_tokens') : tokensAt(usage, 'prompt_cache_hit_tokens'),
    cacheWrite: tokensAt(details, 'cache_write_tokens'),
    cacheWriteHour: tokensAt(details, 'cache_write_1h_tokens'),
    reasoning: tokensAt(usage[`${output}_details`], 'reasoning_tokens'),
  }
}

/**
 * Billable output is the larger of the completion and `total - input`: some providers leave reasoning out of the former
 * (providers §0.5). Any part that is negative, broken or no number makes the whole unknown.
 */
function readTokens(usage: unknown, shape: UsageShape): Tokens | null {
  const said = isObject(usage) ? saidTokens(usage, shape) : null
  if (said === null || Object.values(said).some((count) => count === null)) return null
  const { input, completion, total, cacheRead, cacheWrite, cacheWriteHour, reasoning } = said as Record<
    keyof SaidTokens,
    number
  >
  const output = Math.max(completion, total - input)
  if (cacheRead + cacheWrite > input || reasoning > output)
    return { input, output, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
  const hour = Math.min(cacheWriteHour, cacheWrite)
  return { input, output, cacheRead, cacheWrite, ...(hour > 0 ? { cacheWriteHour: hour } : {}), reasoning }
}

/** An amount in USD from its text: a JSON number, or the same as a string. Negative, broken or anything else: unknown. */
function readAmount(value: unknown): Pico | null {
  const text = isLosslessNumber(value) ? value.value : typeof value === 'string' ? value : ''
  const amount = parsePico(text)
  return amount === undefined || amount < 0n ? null : amount
}

/**
 * OpenRouter's raw cost: its own charge, plus the upstream's bill where the account has a key of its own there (`is_byok`).
 * Adding the latter always would double every ordinary row, since the field is filled there too (providers §0.4).
 */
function rawCost(charged: unknown, isByok: unknown, upstream: unknown): Pico | null {
  const own = readAmount(charged)
  if (own === null || isByok !== true) return own
  const theirs = readAmount(upstream)
  return theirs === null ? null : own + theirs
}

/** A provider's bill above this many times its own list price is not believed (security F10). */
const mostTimesList = 5n

/**
 * Holds a reported cost within [0, 5 × list price]. The workspace controls who reports it, and an inflated cost would zero
 * the margin. `clamped` marks the outlier for the operator.
 */
export function clampRawCost(costPico: Pico, listPico: Pico): { costPico: Pico; clamped: boolean } {
  const most = listPico * mostTimesList
  if (costPico < 0n) return { costPico: 0n, clamped: true }
  return costPico > most ? { costPico: most, clamped: true } : { costPico, clamped: false }
}

/** Tokens with what was used beside them; `tools`: those of the provider's own that the reply itself shows. */
function withUnits(tokens: Tokens | null, usage: Json, tools: number): Tokens | null {
  if (tokens === null) return null
  const units = unitsInUsage(usage)
  const apart = tools > 0 ? { ...units, tool: (units.tool ?? 0) + tools } : units
  return Object.keys(apart).length ? { ...tokens, apart } : tokens
}

function readUsage(usage: unknown, shape: UsageShape, tools = 0): UsageReport {
  if (!isObject(usage)) return nothingReported
  const tokens = withUnits(readTokens(usage, shape), usage, tools)
  // A ranking may be billed by the search and tell no tokens; a text whose tokens cannot be read has no cost to believe either.
  if (tokens === null && shape === 'text') return nothingReported
  const upstream = isObject(usage.cost_details) ? usage.cost_details.upstream_inference_cost : undefined
  return { tokens, costPico: rawCost(usage.cost, usage.is_byok, upstream) }
}

/** Parses JSON with every number kept as its text; undefined when it is not JSON. */
export function parseLossless(text: string): unknown {
  try {
    return parse(text)
  } catch {
    return undefined
  }
}

/** What the end of a reply says about the call. */
export interface ReplyFacts extends UsageReport {
  /** It named its usage, and what it named cannot be true. */
  usageRefused: boolean
  /** A top-level error: the provider failed after it had begun. */
  failed: boolean
  errorCode: string | null
  model: string | null
  generationId: string | null
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a NUL is refused by the database, and the call with it
const controls = /[\u0000-\u001f\u007f]/

/** A name short and clean enough to be stored; null for everything else. */
export const textAt = (value: unknown): string | null =>
  typeof value === 'string' && value.length <= 200 && !controls.test(value) ? value : null

/** Responses wrap the reply of their last event. */
export const replyIn = (event: Json): Json => (isObject(event.response) ? event.response : event)

/** What one reply, or one event of a stream, says of the call. */
export function factsOf(event: Json, shape: UsageShape): ReplyFacts {
  const reply = replyIn(event)
  const failed = isObject(reply.error)
  const report = readUsage(reply.usage, shape, toolsInOutput(reply.output))
  return {
    ...report,
    usageRefused: isObject(reply.usage) && report.tokens === null && shape === 'text',
    failed,
    errorCode: failed ? errorCodeOf(reply.error as Json) : null,
    model: textAt(reply.model),
    generationId: textAt(reply.id),
  }
}

/** The stable code of an error object: its type where it has one, else its code. */
export function errorCodeOf(error: Json): string {
  const type = isObject(error.metadata) ? textAt(error.metadata.error_type) : null
  const code = isLosslessNumber(error.code) ? error.code.value : textAt(error.code)
  const said = type ?? code ?? 'upstream_error'
  return /^[A-Za-z0-9_.-]{1,64}$/.test(said) ? said : 'upstream_error'
}

export const noFacts: ReplyFacts = {
  ...nothingReported,
  usageRefused: false,
  failed: false,
  errorCode: null,
  model: null,
  generationId: null,
}

/** A reply's top-level members that matter here: strings by value, the others as their text stands in the reply. */
export interface ReplyParts {
  id: string | null
  model: string | null
  usage: string | undefined
  error: string | undefined
  /** Of Responses: what the model and its tools did. */
  output?: string | undefined
}

/** Reads a reply from its members: the rest of a long answer need not be parsed. */
export function readReplyParts(parts: ReplyParts, shape: UsageShape = 'text'): ReplyFacts {
  const { id, model, usage, error, output = '' } = parts
  const value = (text: string | undefined) => (text === undefined ? undefined : parseLossless(text))
  const said = value(usage)
  const facts = factsOf({ id, model, usage: said, error: value(error) }, shape)
  const tools = toolsInOutputText(output)
  return tools > 0 ? { ...facts, ...readUsage(said, shape, tools) } : facts
}

/** Reads a whole JSON reply; null when it is not a JSON object. */
export function readReply(text: string, shape: UsageShape = 'text'): ReplyFacts | null {
  const reply = parseLossless(text)
  return isObject(reply) ? factsOf(reply, shape) : null
}

/** What `GET /generation` says of a generation that is over (providers §1.7). */
export interface GenerationReport extends UsageReport {
  model: string | null
  cancelled: boolean
}

/** Reads the reply of `GET /generation`; null when it is not a generation record. */
export function readGeneration(text: string): GenerationReport | null {
  const reply = parseLossless(text)
  const data = isObject(reply) ? reply.data : undefined
  if (!isObject(data)) return null
  const tokens = readTokens(
    {
      prompt_tokens: data.native_tokens_prompt,
      completion_tokens: data.native_tokens_completion,
      prompt_tokens_details: { cached_tokens: data.native_tokens_cached },
      completion_tokens_details: { reasoning_tokens: data.native_tokens_reasoning },
    },
    'text',
  )
  const costPico = rawCost(data.total_cost, data.is_byok, data.upstream_inference_cost)
  return { tokens, costPico, model: textAt(data.model), cancelled: data.cancelled === true }
}
