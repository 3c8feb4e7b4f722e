/** A provider's own account of its days, as a CSV file: OpenRouter's activity, or anything with the same columns. Pure. */
import { isCalendarDay } from '#app/platform/calendar-day.ts'
import { AppError } from '#app/platform/errors.ts'
import { type Pico, parsePico } from '#app/platform/pico.ts'
import { headerName, isNamed, readCsvLines } from './csv-lines.ts'

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

/** Names a column may go by, the one that is looked for first before the others; case, spaces, dashes and underscores do not count. */
const names = {
  day: ['date', 'day'],
  model: ['model_permaslug', 'model'],
  cost: ['usage', 'cost', 'cost_usd', 'cost_total'],
  byok: ['byok_usage_inference'],
  requests: ['requests', 'num_requests'],
  input: ['prompt_tokens', 'tokens_prompt', 'input_tokens'],
  output: ['completion_tokens', 'tokens_completion', 'output_tokens'],
} satisfies Record<string, [string, ...string[]]>
type Column = keyof typeof names

/** Where each column stands, and what the file calls it. */
type Columns = Map<Column, { at: number; name: string }>

const DAY_MS = 86_400_000

const wrong = (line: number, text: string) =>
  new AppError('bad_request', 'invalid_report', `Line ${line}: ${text}`, { field: 'csv' })

function readHeader(cells: string[], line: number): Columns {
  const found: Columns = new Map()
  for (const column of Object.keys(names) as Column[]) {
    const places = names[column].map((name) => cells.findIndex((cell) => isNamed(cell, [name])))
    const at = places.find((place) => place >= 0)
    if (at !== undefined) found.set(column, { at, name: headerName(cells[at] ?? '').slice(0, 40) })
  }
  const missing = (['day', 'model', 'cost'] as const).filter((column) => !found.has(column))
  if (missing.length)
    throw wrong(line, `missing column ${missing.map((column) => names[column].slice(0, 2).join(' or ')).join(', ')}`)
  return found
}

/** A billion dollars and a trillion tokens in a day are nobody's: such a number is a slip, and the sums of many must be held. */
const mostPico = 10n ** 21n

function whole(text: string, line: number, name: string): bigint {
  if (text === '') return 0n
  if (!/^\d{1,12}$/.test(text)) throw wrong(line, `${name} "${text.slice(0, 40)}" is not a whole number`)
  return BigInt(text)
}

function amount(text: string, line: number, name: string): Pico {
  const value = text === '' ? 0n : parsePico(text)
  if (value === undefined || value < 0n) throw wrong(line, `${name} "${text.slice(0, 40)}" is not an amount in USD`)
  if (value > mostPico) throw wrong(line, `${name} "${text.slice(0, 40)}" is more than a day can cost`)
  return value
}

/** `YYYY-MM-DD`, or a time that begins with it. A day that has not begun anywhere yet has cost nothing. */
const DAY = /^(\d{4}-\d{2}-\d{2})(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?\s*(?:Z|[+-]00:?00)?)?$/i

function readDay(text: string, name: string, line: number, now: Date): string {
  const day = DAY.exec(text)?.[1] ?? ''
  if (!isCalendarDay(day)) throw wrong(line, `${name} "${text.slice(0, 40)}" is not a day such as 2026-10-31`)
  if (Date.parse(day) > now.getTime() + DAY_MS) throw wrong(line, `${name} "${text.slice(0, 40)}" lies in the future`)
  return day
}

/**
 * Reads a report; rows of the same day and model are added together, for providers split them by endpoint. One bad line, and none
 * of it is taken.
 * @param now days that begin later are refused
 * @throws AppError bad_request `invalid_report` with the line and what is wrong with it
 */
export function readProviderReport(csv: string, now: Date): ReportRow[] {
  const [header, ...rest] = readCsvLines(csv, wrong)
  const columns = readHeader(header?.cells ?? [], header?.line ?? 1)
  if (!rest.length) throw wrong(header?.line ?? 1, 'the file has no rows below its header')
  const rows = new Map<string, ReportRow>()
  for (const { line, cells } of rest) {
    const cell = (column: Column) => cells[columns.get(column)?.at ?? -1] ?? ''
    const called = (column: Column) => columns.get(column)?.name ?? names[column][0]
    const day = readDay(cell('day'), called('day'), line, now)
    const model = cell('model')
    if (!model) throw wrong(line, `${called('model')} is empty`)
    const key = `${day} ${model}`
    const row = rows.get(key) ?? { day, model, costPico: 0n, requests: 0n, inputTokens: 0n, outputTokens: 0n }
    row.costPico += amount(cell('cost'), line, called('cost')) + amount(cell('byok'), line, called('byok'))
    row.requests += whole(cell('requests'), line, called('requests'))
    row.inputTokens += whole(cell('input'), line, called('input'))
    row.outputTokens += whole(cell('output'), line, called('output'))
    rows.set(key, row)
  }
  return [...rows.values()]
}
