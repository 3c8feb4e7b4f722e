const lineFeed = 0x0a

/**
 * Takes one key out of passing bytes. Some providers put the caller's key into an error event in the middle of a stream.
 * Costs one native search per piece. A piece that ends in what may be the beginning of the key keeps that end back.
 */
export class KeyScrub {
  readonly #key: Buffer
  readonly #substitute = Buffer.from('[secret]')
  #kept: Buffer | null = null

  constructor(key: string) {
    this.#key = Buffer.from(key)
  }

  /** What of the bytes may go on. */
  pass(piece: Buffer): Buffer {
    const whole = this.#kept ? Buffer.concat([this.#kept, piece]) : piece
    this.#kept = null
    const clean = whole.includes(this.#key) ? this.#replaceAll(whole) : whole
    const keep = this.#beginningAtEnd(clean)
    if (keep === 0) return clean
    this.#kept = clean.subarray(clean.length - keep)
    return clean.subarray(0, clean.length - keep)
  }

  /** What was kept back, at the end of the reply. */
  rest(): Buffer | null {
    const kept = this.#kept
    this.#kept = null
    return kept
  }

  #replaceAll(bytes: Buffer): Buffer {
    const pieces: Buffer[] = []
    let from = 0
    for (let at = bytes.indexOf(this.#key); at >= 0; at = bytes.indexOf(this.#key, from)) {
      pieces.push(bytes.subarray(from, at), this.#substitute)
      from = at + this.#key.length
    }
    return Buffer.concat([...pieces, bytes.subarray(from)])
  }

  /** Length of the longest end of `bytes` that is a beginning of the key. An end of line never is: the usual case. */
  #beginningAtEnd(bytes: Buffer): number {
    if (bytes.length === 0 || bytes[bytes.length - 1] === lineFeed) return 0
    const first = this.#key[0] as number
    const start = Math.max(0, bytes.length - this.#key.length + 1)
    for (let at = bytes.indexOf(first, start); at >= 0; at = bytes.indexOf(first, at + 1)) {
      const end = bytes.subarray(at)
      if (this.#key.subarray(0, end.length).equals(end)) return end.length
    }
    return 0
  }
}

/** Takes every secret of a credential out of passing bytes, one after the other. */
export class SecretScrub {
  readonly #scrubs: KeyScrub[]

  constructor(secrets: readonly string[]) {
    this.#scrubs = secrets.map((secret) => new KeyScrub(secret))
  }

  pass(piece: Buffer): Buffer {
    let clean = piece
    for (const scrub of this.#scrubs) clean = scrub.pass(clean)
    return clean
  }

  /** What was kept back, at the end of the reply. */
  rest(): Buffer | null {
    let rest: Buffer | null = null
    for (const scrub of this.#scrubs) {
      const passed: Buffer | null = rest ? scrub.pass(rest) : null
      const kept = scrub.rest()
      rest = passed && kept ? Buffer.concat([passed, kept]) : (passed ?? kept)
    }
    return rest
  }
}
