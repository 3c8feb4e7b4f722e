const mark = Buffer.from('[DONE]')
const errorName = Buffer.from('"error"')
const lineFeed = 0x0a
const carriageReturn = 0x0d
const space = 0x20
const colon = 0x3a
const openBrace = 0x7b

/** How far back something that ends in this piece may have begun: a line end, `data:`, a few spaces, the mark. In bytes. */
const reach = 24

export type StreamSign = 'end' | 'error' | null

/**
 * Watches a stream for the two things after which a client stops listening: the end mark, the line `data: [DONE]`, and an
 * error object. A model that writes these words in its answer has its quotes and line ends escaped inside JSON.
 */
export class StreamEnd {
  #before: Buffer = Buffer.from('\n')

  /** What this piece completes, if anything. From there on the stream is to be held back. */
  sign(piece: Buffer): StreamSign {
    // Providers write whole events: after a line end nothing straddles, and the piece alone tells.
    const afterLine = isLineEnd(this.#before[this.#before.length - 1])
    const sign =
      signIn(piece, afterLine) ??
      (afterLine ? null : signIn(Buffer.concat([this.#before, piece.subarray(0, reach)]), false))
    this.#before = piece.length >= reach ? piece.subarray(piece.length - reach) : lastBytes(this.#before, piece)
    return sign
  }
}

function lastBytes(before: Buffer, piece: Buffer): Buffer {
  const joined = Buffer.concat([before, piece])
  return joined.length > reach ? joined.subarray(joined.length - reach) : joined
}

function signIn(bytes: Buffer, afterLine: boolean): StreamSign {
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1)) {
    if (startsLine(bytes, at, afterLine)) return 'end'
  }
  for (let at = bytes.indexOf(errorName); at >= 0; at = bytes.indexOf(errorName, at + 1)) {
    if (opensObject(bytes, at + errorName.length)) return 'error'
  }
  return null
}

const isLineEnd = (byte: number | undefined): boolean => byte === lineFeed || byte === carriageReturn

function startsLine(bytes: Buffer, mark: number, afterLine: boolean): boolean {
  let at = mark
  while (bytes[at - 1] === space && mark - at < 4) at -= 1
  if (at < 5 || bytes.toString('latin1', at - 5, at) !== 'data:') return false
  return at === 5 ? afterLine : isLineEnd(bytes[at - 6])
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
