/** An event longer than this is passed on in parts, in bytes. */
const longestEvent = 1024 * 1024

const ends = [Buffer.from('\n\n'), Buffer.from('\r\n\r\n'), Buffer.from('\r\r')]

/** Where the last whole event of the bytes ends, or 0. Lines may end in LF, CR LF or CR. */
function lastEnd(bytes: Buffer): number {
  let end = 0
  for (const mark of ends) {
    const at = bytes.lastIndexOf(mark)
    if (at >= 0) end = Math.max(end, at + mark.length)
  }
  return end
}

/**
 * Cuts a stream between its events, so that whoever looks for something in them never sees half a one. What is held back
 * is the beginning of an event that no client could read yet.
 */
export class WholeEvents {
  #rest: Buffer | null = null

  /** All events that the piece completes, possibly none. */
  take(piece: Buffer): Buffer {
    const bytes = this.#rest ? Buffer.concat([this.#rest, piece]) : piece
    const end = bytes.length > longestEvent && lastEnd(bytes) === 0 ? bytes.length : lastEnd(bytes)
    this.#rest = end < bytes.length ? bytes.subarray(end) : null
    return end === bytes.length ? bytes : bytes.subarray(0, end)
  }

  /** What is left when the stream is over: an event whose blank line never came. */
  rest(): Buffer | null {
    const rest = this.#rest
    this.#rest = null
    return rest
  }
}

const emptyChoices = ['"choices":[]', '"choices": []'].map((text) => Buffer.from(text))

const isUsageEvent = (event: string): boolean => {
  const data = event.split(/\r\n|\r|\n/).filter((line) => line.startsWith('data:'))
  try {
    const chunk = JSON.parse(data.map((line) => line.slice(5)).join('\n')) as { choices?: unknown[]; usage?: unknown }
    return (
      Array.isArray(chunk.choices) &&
      chunk.choices.length === 0 &&
      typeof chunk.usage === 'object' &&
      chunk.usage !== null
    )
  } catch {
    return false
  }
}

/**
 * Whole events without those that only tell the usage: the gateway asked for them, the client did not, and some clients
 * fail on a chunk without choices. Other events with empty choices (Azure's content filter results) stay.
 */
export function withoutUsageEvents(events: Buffer): Buffer {
  if (emptyChoices.every((mark) => events.indexOf(mark) < 0)) return events
  const parts = events.toString('utf8').split(/(?<=\n\n|\r\n\r\n|\r\r)/)
  return Buffer.from(parts.filter((part) => !isUsageEvent(part)).join(''))
}
