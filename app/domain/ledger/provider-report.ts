/** A provider's own account of its days, as a CSV file: OpenRouter's activity, or anything with the same columns. Pure. */
import { parse } from 'csv-parse/sync'
import { AppError } from '#app/platform/errors.ts'
import { type Pico, parsePico } from '#app/platform/pico.ts'

export interface ReportRow {
  /** `YYYY-MM-DD`, UTC. */
  day: string
  model: string
  /** What the account was charged, and what it paid its own upstream key for (`usage` + `byok_usage_inference`). */
  costPico: Pico
  requests: bigint
  inputTokens: bigint
  outputTokens: bigint
}

/** Names a column may go by, lower case, without spaces, dashes and underscores. */
const names = {
  day: ['date', 'day'],
  model: ['modelpermaslug', 'model'],
  cost: ['usage', 'cost', 'costusd', 'costtotal'],
  byok: ['byokusageinference'],
  requests: ['requests', 'numrequests'],
  input: ['prompttokens', 'tokensprompt', 'inputtokens'],
  output: ['completiontokens', 'tokenscompletion', 'outputtokens'],
}
type Column = keyof typeof names

const wrong = (line: number, text: string) =>
  new AppError('bad_request', 'invalid_report', `Line ${line}: ${text}`, { field: 'csv' })

const plain = (cell: string): string =>
  cell
    .replace(/^\uFEFF/, '')
    .toLowerCase()
    .replace(/[\s_-]/g, '')

function readHeader(cells: string[]): Map<Column, number> {
  const found = new Map<Column, number>()
  const given = cells.map(plain)
  for (const column of Object.keys(names) as Column[]) {
    const at = names[column].map((name) => given.indexOf(name)).find((index) => index >= 0)
    if (at !== undefined) found.set(column, at)
  }
  const missing = (['day', 'model', 'cost'] as const).filter((column) => !found.has(column))
  if (missing.length) throw wrong(1, `missing column ${missing.map((column) => names[column][0]).join(', ')}`)
  return found
}

function whole(text: string, line: number, name: string): bigint {
  if (text === '') return 0n
  if (!/^\d{1,15}$/.test(text)) throw wrong(line, `${name} "${text.slice(0, 40)}" is not a whole number`)
  return BigInt(text)
}

function amount(text: string, line: number, name: string): Pico {
  const value = text === '' ? 0n : parsePico(text)
  if (value === undefined || value < 0n) throw wrong(line, `${name} "${text.slice(0, 40)}" is not an amount in USD`)
  return value
}

/**
 * Reads a report; rows of the same day and model are added together, for providers split them by endpoint.
 * @throws AppError bad_request `invalid_report` with the line and what is wrong with it
 */
export function readProviderReport(csv: string): ReportRow[] {
  let records: string[][]
  try {
    records = parse(csv, { skip_empty_lines: true, relax_column_count: true, trim: true })
  } catch {
    throw wrong(1, 'this is not CSV')
  }
  const [header = [], ...rest] = records
  const columns = readHeader(header)
  const rows = new Map<string, ReportRow>()
  for (const [index, cells] of rest.entries()) {
    const line = index + 2
    const cell = (column: Column) => cells[columns.get(column) ?? -1] ?? ''
    const day = cell('day').slice(0, 10)
    if (!/^\d{4}-(0[1-9]|1[0-2])-([0-2]\d|3[01])$/.test(day))
      throw wrong(line, `date "${cell('day').slice(0, 40)}" is not a day such as 2026-10-31`)
    const model = cell('model')
    if (!model) throw wrong(line, 'no model')
    const key = `${day} ${model}`
    const row = rows.get(key) ?? { day, model, costPico: 0n, requests: 0n, inputTokens: 0n, outputTokens: 0n }
    row.costPico += amount(cell('cost'), line, 'usage') + amount(cell('byok'), line, 'byok_usage_inference')
    row.requests += whole(cell('requests'), line, 'requests')
    row.inputTokens += whole(cell('input'), line, 'prompt_tokens')
    row.outputTokens += whole(cell('output'), line, 'completion_tokens')
    rows.set(key, row)
  }
  return [...rows.values()]
}
