import { isLosslessNumber } from 'lossless-json'

/** What a call used that a price of text tokens does not hold. `tool`: something else of the provider's own that it bills. */
export type Unit = 'audio_in' | 'audio_out' | 'image_in' | 'image_out' | 'video_in' | 'video_out' | 'search' | 'tool'

/** Units by kind, none of them 0. Those of audio, images and video are tokens, and are counted in the input or output as well. */
export type UnitsApart = Partial<Record<Unit, number>>

type Json = Record<string, unknown>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value)

const wholeNumber = /^(?:0|[1-9]\d{0,8})$/

/** A count; null where something stands there that is none: it is not known then, which is not zero. */
function countOf(value: unknown): number | null {
  if (value === undefined || value === null) return 0
  const text = isLosslessNumber(value) ? value.value : ''
  return wholeNumber.test(text) ? Number(text) : null
}

const kinds = ['audio', 'image', 'video'] as const
const sides = [
  ['in', ['prompt_tokens_details', 'input_tokens_details']],
  ['out', ['completion_tokens_details', 'output_tokens_details']],
] as const

/** Anthropic's and Bedrock's blocks. What a page that is fetched costs is its tokens. */
const toolBlocks = ['server_tool_use', 'serverToolUsage']
const searchName = /^(?:web_search_requests|webSearchRequests)$/
const freeName = /^(?:web_fetch_requests|webFetchRequests)$/

/** xAI's and others' counts of what their own tools were asked. */
const toolCounts = ['num_sources_used', 'num_server_side_tools_used', 'num_search_queries']

/** Items of a Responses output that cost their tokens and nothing else; any other `…_call` is a tool of the provider's own. */
const freeItems = new Set([
  ...['function_call', 'custom_tool_call', 'mcp_call', 'computer_call', 'local_shell_call', 'apply_patch_call'],
  'tool_search_call',
])

const isPaidItem = (type: string): boolean => type.endsWith('_call') && !freeItems.has(type)

class Found {
  readonly units: UnitsApart = {}

  add(unit: Unit, value: unknown): void {
    const count = countOf(value)
    // Something was used that nobody can count: no price holds it.
    if (count === null) this.units.tool = (this.units.tool ?? 0) + 1
    else if (count > 0) this.units[unit] = (this.units[unit] ?? 0) + count
  }
}

/** What a usage block says of units beside text tokens. Its numbers are lossless. */
export function unitsInUsage(usage: Json): UnitsApart {
  const found = new Found()
  for (const [side, names] of sides)
    for (const details of names.map((name) => usage[name]).filter(isObject))
      for (const kind of kinds) found.add(`${kind}_${side}`, details[`${kind}_tokens`])
  for (const block of toolBlocks.map((name) => usage[name]).filter(isObject))
    for (const [name, count] of Object.entries(block))
      if (!freeName.test(name)) found.add(searchName.test(name) ? 'search' : 'tool', count)
  for (const name of toolCounts) found.add('tool', usage[name])
  return found.units
}

/** Tools of the provider's own that the output of a Responses reply shows. */
export function toolsInOutput(output: unknown): number {
  if (!Array.isArray(output)) return 0
  return output.filter((item) => isObject(item) && typeof item.type === 'string' && isPaidItem(item.type)).length
}

const itemType = /"type"\s*:\s*"([a-z_]+_call)"/g

/**
 * The same from an output's text, which need not be parsed for it: in what a model wrote, quotes are escaped. An item's own
 * parts never have such a type.
 */
export const toolsInOutputText = (text: string): number =>
  text.includes('_call"') ? [...text.matchAll(itemType)].filter(([, type]) => isPaidItem(type as string)).length : 0
