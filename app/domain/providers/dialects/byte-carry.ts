/** Bytes that wait for what follows them. Grows by doubling, so that a million pieces of one byte cost no more than one of a million. */
export class ByteCarry {
  #bytes: Buffer = Buffer.alloc(0)
  length = 0

  add(piece: Buffer): void {
    if (this.length + piece.length > this.#bytes.length) {
      const wider = Buffer.allocUnsafe(Math.max(256, 2 * (this.length + piece.length)))
      this.#bytes.copy(wider, 0, 0, this.length)
      this.#bytes = wider
    }
    piece.copy(this.#bytes, this.length)
    this.length += piece.length
  }

  /** The bytes so far, valid until the next `add`. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  clear(): void {
    this.length = 0
    if (this.#bytes.length > 65_536) this.#bytes = Buffer.alloc(0)
  }
}
