import { createHash, randomBytes } from 'node:crypto'
import type { Tokens } from '../openrouter/completion.ts'
import type { Scenario } from '../openrouter/scenario.ts'

/** A tool as any dialect describes it. */
export interface AskedTool {
  name: string
  properties: Record<string, { type?: string }>
}

/** What a request asks for, read out of its dialect. */
export interface Ask {
  model: string
  streamed: boolean
  /** Everything that was said, for counting. */
  said: string
  lastUserText: string
  tools: AskedTool[]
  /** The last message is a tool's result: now comes the answer. */
  toolsDone: boolean
  parallel: boolean
  maxTokens: number | null
}

export interface PlannedTool {
  id: string
  name: string
  arguments: string
  pieces: string[]
}

/** A reply decided before the first byte. `tokens` are inclusive: input holds cache, output holds reasoning. */
export interface Plan {
  id: string
  model: string
  created: number
  pieces: string[]
  tools: PlannedTool[]
  /** What a reasoning model thought, where the scenario counts reasoning tokens. */
  thought: string | null
  finish: 'stop' | 'length' | 'tool_calls'
  tokens: Tokens
}

const words = ['naïve', 'ledgers', 'count', 'every', 'call', '☕', 'exactly', 'once', 'and', '账本', 'never', 'twice']

/** One token per four UTF-8 bytes, rounded up: the sandboxes' rule. */
export const countTokens = (text: string): number => Math.max(1, Math.ceil(Buffer.byteLength(text) / 4))

export function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part: { text?: unknown }) => (typeof part?.text === 'string' ? part.text : '')).join('')
}

function cutInto(text: string, count: number): string[] {
  const letters = Array.from(text)
  const size = Math.max(1, Math.ceil(letters.length / Math.max(1, count)))
  const pieces: string[] = []
  for (let at = 0; at < letters.length; at += size) pieces.push(letters.slice(at, at + size).join(''))
  return pieces
}

function callTool({ name, properties }: AskedTool): PlannedTool {
  const value = (type: string | undefined) =>
    type === 'number' || type === 'integer' ? 7 : type === 'boolean' ? true : type === 'array' ? ['Paris'] : 'Paris'
  const values = Object.fromEntries(Object.entries(properties).map(([key, property]) => [key, value(property?.type)]))
  const text = JSON.stringify(values)
  return { id: `call_${randomBytes(9).toString('hex')}`, name, arguments: text, pieces: cutInto(text, 3) }
}

function sayWords(seed: string, count: number): string[] {
  const start = createHash('sha256').update(seed).digest()[0] ?? 0
  return Array.from({ length: count }, (_, index) => `${words[(start + index) % words.length]} `)
}

/** Decides the whole reply. Deterministic in everything but ids. With tools all of them are called, or one where asked so. */
export function planReply(ask: Ask, scenario: Scenario): Plan {
  const tools = ask.toolsDone ? [] : ask.tools.slice(0, ask.parallel ? 8 : 1).map(callTool)
  const limit = ask.maxTokens ?? Number.POSITIVE_INFINITY
  const toolTokens = tools.reduce((sum, tool) => sum + countTokens(tool.arguments) + 8, 0)
  const wanted = scenario.output ?? (tools.length > 0 ? toolTokens : 24 + (scenario.reasoning ?? 0))
  const output = scenario.output ?? Math.min(wanted, limit)
  const count = scenario.chunks ?? Math.min(64, Math.max(1, output))
  return {
    id: randomBytes(12).toString('hex'),
    model: scenario.replyModel ?? ask.model,
    created: Math.floor(Date.now() / 1000),
    pieces:
      tools.length > 0
        ? []
        : scenario.text === undefined
          ? sayWords(ask.lastUserText, count)
          : cutInto(scenario.text, count),
    tools,
    thought: scenario.reasoning ? 'Let me count.' : null,
    finish: tools.length > 0 ? 'tool_calls' : output < wanted ? 'length' : 'stop',
    tokens: {
      input: scenario.input ?? countTokens(ask.said),
      output,
      cached: scenario.cached ?? 0,
      cacheWrite: scenario.cacheWrite ?? 0,
      reasoning: scenario.reasoning ?? 0,
    },
  }
}

/** Tokens as the scenario makes the usage block say them. */
export const saidTokens = (tokens: Tokens, scenario: Scenario): Tokens =>
  scenario.usage === 'zero' ? { input: 0, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 } : tokens

/** A stand-in for JSON text that is put in digit for digit, also where it is no JSON at all. */
const slot = '@@usage@@'
export const usageSlot = (usage: string | null): Record<string, string> => (usage === null ? {} : { usage: slot })

/** The JSON of an object in which `usageSlot` stands. */
export const withUsage = (value: unknown, usage: string | null): string =>
  JSON.stringify(value).replaceAll(`"${slot}"`, () => usage ?? 'null')

/** A reply in its dialect: pieces of a stream, and the plain form. */
export interface Rendered {
  contentType: string
  headers?: Record<string, string>
  /** Before, during and after the content; a scenario counts and cuts in `content`. */
  head: (string | Buffer)[]
  content: (string | Buffer)[]
  closing: (string | Buffer)[]
  /** What a provider that fails in the middle sends last. */
  failure: string | Buffer
  whole: string
}

const ends = { crlf: '\r\n', cr: '\r' }

/** An event of a stream, with the line ends that a scenario asks for. */
export function sseEvent(data: string, scenario: Scenario, name: string | null = null, index = 0): string {
  const mixed = scenario.eol === 'mixed' ? (index % 2 === 0 ? '\n' : '\r\n') : null
  const end = mixed ?? (scenario.eol && scenario.eol !== 'mixed' ? ends[scenario.eol] : '\n')
  return `${name === null ? '' : `event: ${name}${end}`}data: ${data}${end}${end}`
}
