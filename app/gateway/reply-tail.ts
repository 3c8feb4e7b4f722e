/** As much of the end of a reply as is kept: a usage event with room to spare. In bytes. */
const keep = 16 * 1024

/**
 * The newest pieces of a reply, by reference: nothing is copied while bytes flow, and the end is joined once. Copying
 * each piece costs more than a quarter of the throughput of a stream.
 */
export class ReplyTail {
  #pieces: Buffer[] = []
  #first = 0
  #bytes = 0
  /** All bytes of the reply so far. */
  total = 0

  push(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#bytes += piece.length
    this.total += piece.length
    let oldest = this.#pieces[this.#first]
    while (oldest && this.#bytes - oldest.length >= keep) {
      this.#bytes -= oldest.length
      this.#first += 1
      oldest = this.#pieces[this.#first]
    }
    if (this.#first > 256) {
      this.#pieces = this.#pieces.slice(this.#first)
      this.#first = 0
    }
  }

  /** The end of the reply as text. A character cut in two at its beginning does no harm: only whole events are read. */
  text(): string {
    const kept = this.#pieces.slice(this.#first)
    const joined = kept.length === 1 && kept[0] ? kept[0] : Buffer.concat(kept)
    return joined.toString('utf8', Math.max(0, joined.length - 2 * keep), joined.length)
  }
}
