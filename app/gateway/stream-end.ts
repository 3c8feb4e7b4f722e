const mark = Buffer.from('[DONE]')
const errorName = Buffer.from('"error"')
const lineFeed = 0x0a
const carriageReturn = 0x0d
const space = 0x20
const colon = 0x3a
const openBrace = 0x7b

/** How far back something that ends in this piece may have begun: a line end, `data:`, a few spaces, the mark. In bytes. */
const reach = 24

/** `end`: nothing that follows matters. `error`, `last`: what follows is held back, and the stream is to end soon. */
export interface StreamSign {
  kind: 'end' | 'error' | 'last'
  /** Where in the piece the line or event of the sign begins: what lies before may go on. */
  at: number
}

/**
 * Watches a stream for the two things after which a client stops listening: the end mark, the line `data: [DONE]`, and an
 * error object. A model that writes these words in its answer has its quotes and line ends escaped inside JSON.
 */
export class StreamEnd {
  #before: Buffer = Buffer.from('\n')

  /** What this piece completes, if anything. From there on the stream is to be held back. */
  sign(piece: Buffer): StreamSign | null {
    // Providers write whole events: after a line end nothing straddles, and the piece alone tells.
    const afterLine = isLineEnd(this.#before[this.#before.length - 1])
    const sign = signIn(piece, afterLine) ?? (afterLine ? null : this.#straddling(piece))
    this.#before = piece.length >= reach ? piece.subarray(piece.length - reach) : lastBytes(this.#before, piece)
    return sign
  }

  #straddling(piece: Buffer): StreamSign | null {
    const found = signIn(Buffer.concat([this.#before, piece.subarray(0, reach)]), false)
    return found && { kind: found.kind, at: 0 }
  }
}

function lastBytes(before: Buffer, piece: Buffer): Buffer {
  const joined = Buffer.concat([before, piece])
  return joined.length > reach ? joined.subarray(joined.length - reach) : joined
}

function signIn(bytes: Buffer, afterLine: boolean): StreamSign | null {
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1)) {
    const line = lineStart(bytes, at, afterLine)
    if (line >= 0) return { kind: 'end', at: line }
  }
  for (let at = bytes.indexOf(errorName); at >= 0; at = bytes.indexOf(errorName, at + 1)) {
    if (opensObject(bytes, at + errorName.length) && atTop(bytes, at))
      return { kind: 'error', at: Math.max(0, bytes.lastIndexOf(lineFeed, at) + 1) }
  }
  return null
}

const isLineEnd = (byte: number | undefined): boolean => byte === lineFeed || byte === carriageReturn

/** Where the line `data: [DONE]` begins whose mark lies at `mark`, or -1 when it is no such line. */
function lineStart(bytes: Buffer, mark: number, afterLine: boolean): number {
  let at = mark
  while (bytes[at - 1] === space && mark - at < 4) at -= 1
  if (at < 5 || bytes.toString('latin1', at - 5, at) !== 'data:') return -1
  const begins = at === 5 ? afterLine : isLineEnd(bytes[at - 6])
  return begins ? at - 5 : -1
}

const quote = 0x22
const backslash = 0x5c
const closeBrace = 0x7d
/** An error event says so at its beginning; a name farther into a long line is not counted through. In bytes. */
const farthest = 16 * 1024

/**
 * Whether the name at `at` stands in the outermost object of its event (or of Responses' `response`): a filter that failed
 * writes `"error":{…}` deep into an ordinary event (Azure's `content_filter_results`), and nothing ends there.
 */
function atTop(bytes: Buffer, at: number): boolean {
  const from = Math.max(0, at - farthest - 1)
  const start = from + bytes.subarray(from, at).lastIndexOf(lineFeed) + 1
  if (at - start > farthest) return false
  let depth = 0
  let inText = false
  for (let i = start; i < at; i += 1) {
    const byte = bytes[i]
    if (inText) {
      if (byte === backslash) i += 1
      else if (byte === quote) inText = false
    } else if (byte === quote) inText = true
    else if (byte === openBrace) depth += 1
    else if (byte === closeBrace) depth -= 1
  }
  return depth <= 1
}

/** Whether an object follows the name: `"error":{`, not `"error":null` nor `"finish_reason":"error"`. */
function opensObject(bytes: Buffer, after: number): boolean {
  let at = after
  while (bytes[at] === space) at += 1
  if (bytes[at] !== colon) return false
  at += 1
  while (bytes[at] === space) at += 1
  return bytes[at] === openBrace
}
