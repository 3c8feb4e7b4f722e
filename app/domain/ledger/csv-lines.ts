/** CSV as people paste it, row by row with the line that each ends on. Pure. */
import { CsvError, parse } from 'csv-parse/sync'

export interface CsvLine {
  /** Of the file, counted from 1; empty lines count. */
  line: number
  cells: string[]
}

/**
 * Rows of a CSV text without the empty ones. A row's number in the list is not its line: that is what is said of a wrong one.
 * @param wrong makes the error for a text that is no CSV
 */
export function readCsvLines(csv: string, wrong: (line: number, text: string) => Error): CsvLine[] {
  try {
    const rows = parse(csv, { info: true, skip_empty_lines: true, relax_column_count: true, trim: true, bom: true })
    return (rows as unknown as { record: string[]; info: { lines: number } }[]).map(({ record, info }) => ({
      line: info.lines,
      cells: record,
    }))
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    throw wrong(notCsvAt(error), NOT_CSV)
  }
}

/** A header cell as the file's author wrote it. */
export const headerName = (cell: string): string => cell.replace(/^\uFEFF/, '').trim()

const plain = (name: string): string =>
  headerName(name)
    .toLowerCase()
    .replace(/[\s_-]/g, '')

/** Whether a header cell says one of these names: case, spaces, dashes and underscores do not count. */
export const isNamed = (cell: string, names: readonly string[]): boolean =>
  names.some((name) => plain(name) === plain(cell))

export const NOT_CSV = 'this is not CSV: a quotation mark is not closed, or stands where none may'

/** The line on which the parser gave up. */
export const notCsvAt = (error: CsvError): number => (typeof error.lines === 'number' ? error.lines : 1)
