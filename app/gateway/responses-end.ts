import type { StreamSign } from './stream-end.ts'

const names = ['response.completed', 'response.incomplete', 'response.failed'].map((text) => Buffer.from(text))
const lineFeed = 0x0a
const carriageReturn = 0x0d

/** What may stand before the name in its line, in bytes. */
const longestBefore = 200

/** The start of the line that holds `at`, or -1 where it lies farther back than matters. */
function lineStart(bytes: Buffer, at: number): number {
  let start = at
  while (start > 0 && bytes[start - 1] !== lineFeed && bytes[start - 1] !== carriageReturn) {
    if (at - start === longestBefore) return -1
    start -= 1
  }
  return start
}

/** Where the line that holds `at` ends. */
function lineEnd(bytes: Buffer, at: number): number {
  let end = at
  while (end < bytes.length && bytes[end] !== lineFeed && bytes[end] !== carriageReturn) end += 1
  return end
}

/** Whether the name stands where an event's type stands; in a model's own text its quotes are escaped. */
const namesEvent = (line: string): boolean =>
  /^event:\s*$/.test(line) || /^data:\s*\{\s*(?:"sequence_number"\s*:\s*\d+\s*,\s*)?"type"\s*:\s*"$/.test(line)

/**
 * Watches a stream of Responses for its last event: it tells the usage, and clients stop listening after it. From there on
 * the stream is held back until the call is in the ledger. Sees whole events only. A line is left where a name lies too far in it:
 * events repeat the caller's instructions, and a megabyte of this name held up the process for a minute.
 */
export class ResponsesEnd {
  sign(events: Buffer): StreamSign | null {
    for (const name of names) {
      for (let at = events.indexOf(name); at >= 0; ) {
        const start = lineStart(events, at)
        if (start >= 0 && namesEvent(events.toString('latin1', start, at))) return { kind: 'last', at: start }
        at = events.indexOf(name, start < 0 ? lineEnd(events, at) : at + 1)
      }
    }
    return null
  }
}
