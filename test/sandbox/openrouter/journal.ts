import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

/** One line of the journal. A request leaves one `arrived` line and, when the sandbox is done with it, one `ended` line. */
export interface JournalLine {
  event: 'arrived' | 'ended'
  at: string
  request: string
  method: string
  path: string
  /** sha256 of the bearer value in hex, null without one. Never the key. */
  key: string | null
  /** Request headers whose name starts with `x-`, and `http-referer`. */
  headers: Record<string, string>
  model: string | null
  generation: string | null
  status: number | null
  usage: { input: number; output: number } | null
  /** What the account was charged, decimal text in USD. */
  cost: string | null
  completed: boolean
  clientAborted: boolean
}

/** The last word on each request, in order of arrival. */
function foldJournal(lines: JournalLine[]): JournalLine[] {
  const byRequest = new Map<string, JournalLine>()
  for (const line of lines) byRequest.set(line.request, line)
  return [...byRequest.values()]
}

/** Reads a journal file of a sandbox that may be dead: a torn last line is left out. */
export function readJournalFile(file: string): JournalLine[] {
  const text = readFileSync(file, 'utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return foldJournal(
    whole
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as JournalLine),
  )
}

/** Append-only record of what reached the sandbox: the ground truth that ledgers are compared with. */
export class Journal {
  readonly #lines: JournalLine[] = []
  #file: number | null

  constructor(file: string | undefined) {
    this.#file = file === undefined ? null : openSync(file, 'a', 0o600)
  }

  /** Written synchronously, so a kill of the sandbox loses nothing that had happened. */
  append(line: JournalLine): void {
    this.#lines.push({ ...line })
    if (this.#file !== null) writeSync(this.#file, `${JSON.stringify(line)}\n`)
  }

  read(): JournalLine[] {
    return foldJournal(this.#lines)
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
  }
}
