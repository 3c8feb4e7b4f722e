import { readCache } from './chat-content.ts'
import { compact, type Json } from './json-object.ts'
import { arrayAt, objectAt, onlyMembers, refuse, textAt } from './refuse.ts'

export interface Tool {
  name: string
  description: string | null
  /** JSON Schema of the arguments. */
  parameters: Json
  strict: boolean
  cache: Json | null
  at: string
}

export type ToolChoice = { kind: 'auto' | 'none' | 'required' } | { kind: 'named'; name: string }

/** OpenAI takes a tool without parameters, or with a schema that leaves its type open; the others want an object said. */
function readParameters(value: unknown, at: string): Json {
  if (value === undefined) return { type: 'object', properties: {} }
  const schema = objectAt(value, at)
  return schema.type === undefined ? { type: 'object', ...schema } : schema
}

function readTool(value: unknown, at: string): Tool {
  const tool = compact(objectAt(value, at))
  if (tool.type !== 'function') refuse(`${at}.type`, "must be 'function' for this provider.")
  onlyMembers(tool, at, ['type', 'function', 'cache_control'])
  const fn = compact(objectAt(tool.function, `${at}.function`))
  onlyMembers(fn, `${at}.function`, ['name', 'description', 'parameters', 'strict'])
  if (fn.strict !== undefined && typeof fn.strict !== 'boolean')
    refuse(`${at}.function.strict`, 'must be true or false.')
  return {
    name: textAt(fn.name, `${at}.function.name`),
    description: fn.description === undefined ? null : textAt(fn.description, `${at}.function.description`),
    parameters: readParameters(fn.parameters, `${at}.function.parameters`),
    strict: fn.strict === true,
    cache: readCache(tool.cache_control, `${at}.cache_control`),
    at,
  }
}

export function readTools(value: unknown): Tool[] {
  if (value === undefined) return []
  return arrayAt(value, 'tools').map((tool, index) => readTool(tool, `tools[${index}]`))
}

function readChoice(value: unknown): ToolChoice {
  if (value === 'auto' || value === 'none' || value === 'required') return { kind: value }
  const choice = objectAt(value, 'tool_choice')
  if (choice.type !== 'function') refuse('tool_choice', 'must be auto, none, required or the name of one function.')
  onlyMembers(choice, 'tool_choice', ['type', 'function'])
  const fn = objectAt(choice.function, 'tool_choice.function')
  onlyMembers(fn, 'tool_choice.function', ['name'])
  return { kind: 'named', name: textAt(fn.name, 'tool_choice.function.name') }
}

/** Null where the caller left the choice open. A choice that demands a call needs tools to choose from. */
export function readToolChoice(value: unknown, tools: Tool[]): ToolChoice | null {
  if (value === undefined) return null
  const choice = readChoice(value)
  if (tools.length > 0) return choice
  if (choice.kind === 'required' || choice.kind === 'named') refuse('tool_choice', "needs 'tools'.")
  return null
}
