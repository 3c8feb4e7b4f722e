const mark = '[DONE]'
const lineFeed = 0x0a
const carriageReturn = 0x0d
const space = 0x20
const bracket = 0x5b

/** How far back a mark that ends in this piece may have begun: a line end, `data:`, a few spaces, the mark. In bytes. */
const reach = 24

/**
 * Watches a stream for its end mark, the line `data: [DONE]`. Only at the start of a line does it count: a model that
 * writes the word in its answer has its line ends escaped inside JSON.
 */
export class StreamEnd {
  #before: Buffer = Buffer.from('\n')

  /** True when this piece completes the mark: from here on the stream is to be held back. */
  completes(piece: Buffer): boolean {
    const found =
      markedIn(piece) || (this.#mayStraddle(piece) && markedIn(Buffer.concat([this.#before, piece.subarray(0, reach)])))
    this.#before = piece.length >= reach ? piece.subarray(piece.length - reach) : lastBytes(this.#before, piece)
    return found
  }

  #mayStraddle(piece: Buffer): boolean {
    if (this.#before.includes(bracket)) return true
    const at = piece.indexOf(bracket)
    return at >= 0 && at < reach
  }
}

function lastBytes(before: Buffer, piece: Buffer): Buffer {
  const joined = Buffer.concat([before, piece])
  return joined.length > reach ? joined.subarray(joined.length - reach) : joined
}

function markedIn(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1)) {
    if (startsLine(bytes, at)) return true
  }
  return false
}

function startsLine(bytes: Buffer, mark: number): boolean {
  let at = mark
  while (bytes[at - 1] === space && mark - at < 4) at -= 1
  if (at < 6 || bytes.toString('latin1', at - 5, at) !== 'data:') return false
  return bytes[at - 6] === lineFeed || bytes[at - 6] === carriageReturn
}
