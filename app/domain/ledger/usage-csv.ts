import { createHash } from 'node:crypto'
import { isTier, type Tier } from '#app/domain/pricing/pricing.ts'
import { isCalendarDay } from '#app/platform/calendar-day.ts'
import { type Pico, parsePico } from '#app/platform/pico.ts'
import { headerName, isNamed } from './csv-lines.ts'

/** One row of a usage CSV, read and checked. */
export interface UsageRow {
  line: number
  at: Date
  inputTokens: bigint
  outputTokens: bigint
  /** null: the file does not say what the call cost. */
  rawCostPico: Pico | null
  surface: string
  model: string
  tier: Tier
  /** The row's own text, without its position: what makes it the same row in a second run. */
  identity: string
}

export interface UsageDefaults {
  surface: string
  model: string
  tier: Tier
}

export interface LineError {
  line: number
  message: string
}

type Column = 'timestamp' | 'inputTokens' | 'outputTokens' | 'cost' | 'surface' | 'model' | 'tier'

/** Names a column may go by, the one to write first; case, spaces, dashes and underscores do not count. Traces have their own. */
const columnNames: Record<Column, [string, ...string[]]> = {
  timestamp: ['timestamp', 'time', 'date', 'created_at'],
  inputTokens: ['input_tokens', 'prompt_tokens', 'context_tokens'],
  outputTokens: ['output_tokens', 'completion_tokens', 'generated_tokens'],
  cost: ['cost', 'cost_usd', 'raw_cost', 'raw_cost_usd'],
  surface: ['surface'],
  model: ['model'],
  tier: ['tier', 'model_tier'],
}
const required: Column[] = ['timestamp', 'inputTokens', 'outputTokens']

/** Where each column stands, and what the file calls it. */
export type Header = Partial<Record<Column, { at: number; name: string }>>

/** Finds the columns by name. @returns the header, or what is missing or unknown */
export function readHeader(cells: readonly string[]): Header | LineError {
  const header: Header = {}
  for (const [at, cell] of cells.entries()) {
    const name = headerName(cell).slice(0, 40)
    const column = (Object.keys(columnNames) as Column[]).find((one) => isNamed(cell, columnNames[one]))
    if (!column) return { line: 1, message: `unknown column "${name}"` }
    if (header[column] !== undefined) return { line: 1, message: `column "${name}" stands twice` }
    header[column] = { at, name }
  }
  const missing = required.filter((column) => header[column] === undefined)
  return missing.length
    ? { line: 1, message: `missing column ${missing.map((column) => columnNames[column][0]).join(', ')}` }
    : header
}

/** `2023-11-16 18:17:03.9799600`, ISO 8601 with or without zone; without one it is UTC. Cut to whole milliseconds. */
const TIMESTAMP = /^(\d{4}-\d{2}-\d{2})[T ]((?:[01]\d|2[0-3]):\d{2}:\d{2})(?:\.(\d{1,9}))?\s*(Z|[+-]\d{2}:?\d{2})?$/i

export function readTimestamp(text: string): Date | null {
  const match = TIMESTAMP.exec(text.trim())
  if (!match) return null
  const [, day = '', time, fraction = '', zone = 'Z'] = match
  if (!isCalendarDay(day)) return null
  const at = new Date(`${day}T${time}.${fraction.padEnd(3, '0').slice(0, 3)}${zone}`)
  return Number.isNaN(at.getTime()) ? null : at
}

const TOKENS = /^\d{1,12}$/

/** Reads one data row. @returns the row, or what is wrong with it in words that name the column */
export function readRow(
  cells: readonly string[],
  line: number,
  header: Header,
  defaults: UsageDefaults,
): UsageRow | LineError {
  const cell = (column: Column) => (cells[header[column]?.at ?? -1] ?? '').trim()
  const wrong = (column: Column, expected: string): LineError => ({
    line,
    message: `${header[column]?.name ?? columnNames[column][0]} "${cell(column).slice(0, 40)}" is not ${expected}`,
  })
  const at = readTimestamp(cell('timestamp'))
  if (!at) return wrong('timestamp', 'a time such as 2026-10-31 23:59:59')
  if (!TOKENS.test(cell('inputTokens'))) return wrong('inputTokens', 'a whole number of tokens')
  if (!TOKENS.test(cell('outputTokens'))) return wrong('outputTokens', 'a whole number of tokens')
  const cost = cell('cost') === '' ? null : parsePico(cell('cost'))
  if (cost === undefined || (cost !== null && cost < 0n)) return wrong('cost', 'an amount in USD such as 0.00123')
  const tier = cell('tier') || defaults.tier
  if (!isTier(tier)) return wrong('tier', 'one of frontier, balanced, cost_effective')
  return {
    line,
    at,
    inputTokens: BigInt(cell('inputTokens')),
    outputTokens: BigInt(cell('outputTokens')),
    rawCostPico: cost,
    surface: cell('surface') || defaults.surface,
    model: cell('model') || defaults.model,
    tier,
    identity: [
      cell('timestamp'),
      cell('inputTokens'),
      cell('outputTokens'),
      cell('cost'),
      cell('surface') || defaults.surface,
      cell('model') || defaults.model,
      tier,
    ].join('\u001f'),
  }
}

/**
 * The call id of an imported row: its millisecond, then bits of a hash over where it came from, what it says and how many
 * equal rows stand before it. The same file again makes the same ids, so a second run adds nothing.
 */
export function importedCallId(
  scope: { workspaceId: string; source: string; keySource: string },
  row: UsageRow,
  ordinal: number,
): string {
  const identity = [scope.workspaceId, scope.source, scope.keySource, row.identity, String(ordinal)].join('\u001e')
  const hash = createHash('sha256').update(identity).digest()
  const hex = row.at.getTime().toString(16).padStart(12, '0') + hash.subarray(0, 10).toString('hex')
  const variant = ((Number.parseInt(hex[16] as string, 16) & 0x3) | 0x8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
