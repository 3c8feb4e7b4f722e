import { readMessages, type Turn } from './chat-messages.ts'
import { readToolChoice, readTools, type Tool, type ToolChoice } from './chat-tools.ts'
import { DialectRefusal } from './dialect.ts'
import { nearest } from './exact-json.ts'
import { compact, isObject, type Json, parseObject } from './json-object.ts'
import { arrayAt, objectAt, onlyMembers, refuse, textAt } from './refuse.ts'

export interface JsonSchemaFormat {
  kind: 'json_schema'
  name: string
  description: string | null
  schema: Json
  strict: boolean | null
}

export type ReplyFormat = { kind: 'json_object' } | JsonSchemaFormat

export const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const
export type Effort = (typeof efforts)[number]

export interface Reasoning {
  effort: Effort | null
  /** Tokens to reason with, where the caller named them. */
  budget: number | null
  summary: string | null
}

/** A chat request, read and checked; null where the caller said nothing. */
export interface Chat {
  turns: Turn[]
  tools: Tool[]
  toolChoice: ToolChoice | null
  /** `parallel_tool_calls: false` */
  oneToolAtATime: boolean
  format: ReplyFormat | null
  reasoning: Reasoning | null
  maxTokens: number | null
  stop: string[]
  metadata: Record<string, string>
  /** The top-level members that are not null, for what is passed on as it stands. */
  members: Json
}

/** Members that every dialect reads, or that say nothing a dialect would have to express. */
const everywhere = [
  ...['model', 'messages', 'stream', 'stream_options', 'usage'],
  ...['tools', 'tool_choice', 'parallel_tool_calls', 'response_format', 'reasoning_effort', 'reasoning'],
  ...['max_tokens', 'max_completion_tokens', 'temperature', 'top_p', 'user', 'safety_identifier', 'metadata'],
]

const isZero = (value: unknown) => nearest(value) === 0

/** Members no dialect expresses, with the value that means the same as leaving them out. */
const neutral: Record<string, (value: unknown) => boolean> = {
  n: (value) => nearest(value) === 1,
  store: (value) => value === false,
  logprobs: (value) => value === false,
  top_logprobs: isZero,
  presence_penalty: isZero,
  frequency_penalty: isZero,
  logit_bias: (value) => isObject(value) && Object.keys(value).length === 0,
  modalities: (value) => Array.isArray(value) && value.length === 1 && value[0] === 'text',
  service_tier: (value) => value === 'auto',
  stop: (value) => Array.isArray(value) && value.length === 0,
}

function checkMembers(members: Json, taken: readonly string[], provider: string): void {
  for (const [name, value] of Object.entries(members)) {
    if (everywhere.includes(name) || taken.includes(name) || neutral[name]?.(value)) continue
    const param = name.slice(0, 64)
    throw new DialectRefusal(param, `Parameter '${param}' cannot be expressed in ${provider}.`)
  }
}

function count(value: unknown, at: string): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
    ? value
    : refuse(at, 'must be a whole number of at least 1.')
}

function readMaxTokens(members: Json): number | null {
  const { max_tokens: old, max_completion_tokens: current } = members
  if (old !== undefined && current !== undefined && old !== current)
    refuse('max_tokens', "must not differ from 'max_completion_tokens'.")
  if (current !== undefined) return count(current, 'max_completion_tokens')
  return old === undefined ? null : count(old, 'max_tokens')
}

function readStop(value: unknown): string[] {
  if (value === undefined) return []
  return typeof value === 'string' ? [value] : arrayAt(value, 'stop').map((text, i) => textAt(text, `stop[${i}]`))
}

function readFormat(value: unknown): ReplyFormat | null {
  if (value === undefined) return null
  const format = compact(objectAt(value, 'response_format'))
  if (format.type === 'text') return null
  if (format.type === 'json_object') return { kind: 'json_object' }
  if (format.type !== 'json_schema') refuse('response_format.type', "must be 'text', 'json_object' or 'json_schema'.")
  onlyMembers(format, 'response_format', ['type', 'json_schema'])
  const at = 'response_format.json_schema'
  const given = compact(objectAt(format.json_schema, at))
  onlyMembers(given, at, ['name', 'description', 'schema', 'strict'])
  return {
    kind: 'json_schema',
    name: textAt(given.name, `${at}.name`),
    description: given.description === undefined ? null : textAt(given.description, `${at}.description`),
    schema: objectAt(given.schema, `${at}.schema`),
    strict: typeof given.strict === 'boolean' ? given.strict : null,
  }
}

function readEffort(value: unknown, at: string): Effort | null {
  if (value === undefined) return null
  const effort = efforts.find((known) => known === value)
  return effort ?? refuse(at, `must be one of ${efforts.join(', ')}.`)
}

/** `reasoning_effort` is OpenAI's way to ask for reasoning, the object `reasoning` that of OpenRouter's clients. */
function readReasoning(members: Json): Reasoning | null {
  const effort = readEffort(members.reasoning_effort, 'reasoning_effort')
  if (members.reasoning === undefined) return effort && { effort, budget: null, summary: null }
  const given = compact(objectAt(members.reasoning, 'reasoning'))
  onlyMembers(given, 'reasoning', ['effort', 'max_tokens', 'enabled', 'exclude', 'summary'])
  if (given.exclude !== undefined && given.exclude !== false) refuse('reasoning.exclude', 'must be false.')
  const own = readEffort(given.effort, 'reasoning.effort')
  if (effort && own && effort !== own) refuse('reasoning.effort', "must not differ from 'reasoning_effort'.")
  const budget = given.max_tokens === undefined ? null : count(given.max_tokens, 'reasoning.max_tokens')
  const switched = given.enabled === true ? 'medium' : given.enabled === false ? 'none' : null
  const chosen = effort ?? own ?? (budget === null ? switched : null)
  const summary = given.summary === undefined ? null : textAt(given.summary, 'reasoning.summary')
  return chosen === null && budget === null && summary === null ? null : { effort: chosen, budget, summary }
}

/**
 * Who the end user is, for providers that know one name for it: `safety_identifier`, or `user`, which it replaces.
 * @throws DialectRefusal where the two differ
 */
export function endUser(members: Json): string | null {
  const { user, safety_identifier: replacement } = members
  if (user !== undefined && replacement !== undefined && user !== replacement)
    refuse('user', "must not differ from 'safety_identifier' for this provider.")
  if (replacement !== undefined) return textAt(replacement, 'safety_identifier')
  return user === undefined ? null : textAt(user, 'user')
}

function readMetadata(value: unknown): Record<string, string> {
  if (value === undefined) return {}
  const metadata = compact(objectAt(value, 'metadata'))
  return Object.fromEntries(Object.entries(metadata).map(([name, text]) => [name, textAt(text, 'metadata')]))
}

/** Refuses a number above `most`; what it cannot read as a number is refused too. */
export function checkAtMost(members: Json, name: string, most: number, provider: string): void {
  if (members[name] === undefined) return
  const value = nearest(members[name])
  if (value === null) refuse(name, 'must be a number.')
  if (value > most) refuse(name, `must be at most ${most} for ${provider}.`)
}

/**
 * Reads a chat request and refuses what a dialect does not express. Null counts as absent.
 * @param taken the members, beyond those all dialects read, that this dialect translates itself
 * @throws DialectRefusal naming the parameter
 */
export function readChat(body: Buffer, taken: readonly string[], provider: string): Chat {
  const parsed = parseObject(body.toString('utf8', body[0] === 0xef ? 3 : 0))
  if (parsed === null) throw new DialectRefusal('body', 'The body is not valid JSON.')
  const members = compact(parsed)
  checkMembers(members, taken, provider)
  const tools = readTools(members.tools)
  const parallel = members.parallel_tool_calls
  if (parallel !== undefined && typeof parallel !== 'boolean') refuse('parallel_tool_calls', 'must be true or false.')
  return {
    turns: readMessages(members.messages),
    tools,
    toolChoice: readToolChoice(members.tool_choice, tools),
    oneToolAtATime: parallel === false,
    format: readFormat(members.response_format),
    reasoning: readReasoning(members),
    maxTokens: readMaxTokens(members),
    stop: readStop(members.stop),
    metadata: readMetadata(members.metadata),
    members,
  }
}
