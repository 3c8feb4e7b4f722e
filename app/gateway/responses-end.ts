import type { StreamSign } from './stream-end.ts'

const names = ['response.completed', 'response.incomplete', 'response.failed'].map((text) => Buffer.from(text))
const lineFeed = 0x0a
const carriageReturn = 0x0d

/** The start of the line that holds `at`. */
function lineStart(bytes: Buffer, at: number): number {
  let start = at
  while (start > 0 && bytes[start - 1] !== lineFeed && bytes[start - 1] !== carriageReturn) start -= 1
  return start
}

/** Whether the name stands where an event's type stands; in a model's own text its quotes are escaped. */
const namesEvent = (line: string): boolean =>
  /^event:\s*$/.test(line) || /^data:\s*\{\s*(?:"sequence_number"\s*:\s*\d+\s*,\s*)?"type"\s*:\s*"$/.test(line)

/**
 * Watches a stream of Responses for its last event: it tells the usage, and clients stop listening after it. From there on
 * the stream is held back until the call is in the ledger. Sees whole events only.
 */
export class ResponsesEnd {
  sign(events: Buffer): StreamSign | null {
    for (const name of names) {
      for (let at = events.indexOf(name); at >= 0; at = events.indexOf(name, at + 1)) {
        const start = lineStart(events, at)
        if (at - start <= 200 && namesEvent(events.toString('latin1', start, at))) return { kind: 'last', at: start }
      }
    }
    return null
  }
}
