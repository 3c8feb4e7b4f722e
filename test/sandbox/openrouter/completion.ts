import { createHash, randomBytes } from 'node:crypto'
import { findModel, type SandboxModel } from './catalogue.ts'
import type { Scenario } from './scenario.ts'

export interface ChatBody {
  model: string
  messages: { role: string; content?: unknown; tool_calls?: unknown }[]
  stream?: boolean
  max_tokens?: number
  max_completion_tokens?: number
  tools?: {
    type: string
    function: { name: string; parameters?: { properties?: Record<string, { type?: string }> } }
  }[]
  tool_choice?: unknown
}

interface ToolCall {
  id: string
  name: string
  arguments: string
}

/** A reply decided before the first byte: what is said, in which pieces, and how many tokens that is. */
export interface Reply {
  id: string
  model: string
  sold: SandboxModel
  pieces: string[]
  toolCall: ToolCall | null
  finish: 'stop' | 'length' | 'tool_calls'
  tokens: Tokens
}

export interface Tokens {
  input: number
  output: number
  cached: number
  cacheWrite: number
  reasoning: number
}

const words = [
  'the',
  'margin',
  'is',
  'naïve',
  'until',
  'a',
  'ledger',
  'says',
  'otherwise',
  '☕',
  'and',
  'every',
  'call',
  'is',
  'counted',
  '账本',
  'once',
]

const textOf = (content: unknown): string => {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part: { text?: unknown }) => (typeof part?.text === 'string' ? part.text : '')).join('')
}

export function lastUserText(body: ChatBody): string {
  const last = body.messages.findLast((message) => message.role === 'user')
  return last ? textOf(last.content) : ''
}

/** The sandbox's token rule: one token per four UTF-8 bytes, rounded up. Simple, and the same everywhere. */
const countTokens = (text: string): number => Math.ceil(Buffer.byteLength(text) / 4)

function chooseTool(body: ChatBody): ToolCall | null {
  const tool = body.tools?.[0]
  const last = body.messages.at(-1)
  if (!tool || body.tool_choice === 'none' || last?.role === 'tool') return null
  const values: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(tool.function.parameters?.properties ?? {})) {
    values[name] =
      property.type === 'number' || property.type === 'integer' ? 7 : property.type === 'boolean' ? true : 'Paris'
  }
  return { id: `call_${randomBytes(9).toString('hex')}`, name: tool.function.name, arguments: JSON.stringify(values) }
}

function sayWords(seed: string, count: number): string[] {
  const start = createHash('sha256').update(seed).digest()[0] ?? 0
  return Array.from({ length: count }, (_, index) => `${words[(start + index) % words.length]} `)
}

function cutInto(text: string, count: number): string[] {
  const letters = Array.from(text)
  const size = Math.max(1, Math.ceil(letters.length / Math.max(1, count)))
  const pieces: string[] = []
  for (let at = 0; at < letters.length; at += size) pieces.push(letters.slice(at, at + size).join(''))
  return pieces
}

/** Decides the whole reply. Deterministic in everything but the ids. */
export function planReply(body: ChatBody, model: string, scenario: Scenario): Reply {
  const sold = findModel(model)
  if (!sold) throw new Error('sandbox: planReply needs a model that is sold')
  const seed = lastUserText(body)
  const limit = body.max_completion_tokens ?? body.max_tokens ?? Number.POSITIVE_INFINITY
  const toolCall = chooseTool(body)
  const wanted = scenario.output ?? scenario.wanted ?? (toolCall ? countTokens(toolCall.arguments) + 8 : 24)
  const output = scenario.output ?? Math.min(wanted, limit)
  const chunkCount = scenario.chunks ?? Math.min(64, Math.max(1, output))
  const text = scenario.text ?? sayWords(seed, chunkCount).join('')
  const pieces = toolCall
    ? cutInto(toolCall.arguments, 3)
    : scenario.text === undefined
      ? sayWords(seed, chunkCount)
      : cutInto(text, chunkCount)
  return {
    id: `gen-${Math.floor(Date.now() / 1000)}-${randomBytes(12).toString('hex')}`,
    model: scenario.replyModel ?? model,
    sold,
    pieces,
    toolCall,
    finish: toolCall ? 'tool_calls' : output < wanted ? 'length' : 'stop',
    tokens: {
      input: scenario.input ?? Math.max(1, countTokens(JSON.stringify(body.messages))),
      output,
      cached: scenario.cached ?? 0,
      cacheWrite: scenario.cacheWrite ?? 0,
      reasoning: scenario.reasoning ?? 0,
    },
  }
}

/** The tokens that had been produced when a cancelled generation stopped after `sent` of its pieces. */
export function tokensSoFar(reply: Reply, sent: number): Tokens {
  const share = reply.pieces.length === 0 ? 0 : Math.floor((reply.tokens.output * sent) / reply.pieces.length)
  return { ...reply.tokens, output: share, reasoning: Math.min(reply.tokens.reasoning, share) }
}
