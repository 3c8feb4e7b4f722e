import { ByteCarry } from './byte-carry.ts'
import { TranslationError } from './dialect.ts'

const lineFeed = 0x0a
const carriageReturn = 0x0d

/** No event of a chat is nearly as long; what is, would only fill the memory. In bytes. */
const longestLine = 1024 * 1024

/**
 * Reads server-sent events from bytes that may be cut anywhere: inside a character, between CR and LF, inside a name. Lines
 * end in LF, CR LF or CR. Only the data matters here: providers repeat an event's name in it.
 */
export class EventLines {
  readonly #longest: number
  readonly #carry = new ByteCarry()
  #data: string[] = []
  #dataLength = 0
  #afterReturn = false

  constructor(longest = longestLine) {
    this.#longest = longest
  }

  /**
   * The data of every event that this piece completes.
   * @throws TranslationError on a line, or an event's data in all, longer than the limit
   */
  push(piece: Buffer): string[] {
    const events: string[] = []
    let at = this.#afterReturn && piece[0] === lineFeed ? 1 : 0
    if (piece.length > 0) this.#afterReturn = false
    let feed = piece.indexOf(lineFeed, at)
    let back = piece.indexOf(carriageReturn, at)
    while (feed >= 0 || back >= 0) {
      const end = feed < 0 || (back >= 0 && back < feed) ? back : feed
      this.#line(this.#whole(piece.subarray(at, end)), events)
      at = end + 1
      if (end === back && piece[at] === lineFeed) at += 1
      else if (end === back && at === piece.length) this.#afterReturn = true
      if (feed >= 0 && feed < at) feed = piece.indexOf(lineFeed, at)
      if (back >= 0 && back < at) back = piece.indexOf(carriageReturn, at)
    }
    this.#keep(piece.subarray(at))
    return events
  }

  #keep(rest: Buffer): void {
    if (this.#carry.length + rest.length > this.#longest) throw tooLong()
    if (rest.length > 0) this.#carry.add(rest)
  }

  #whole(end: Buffer): string {
    if (this.#carry.length === 0) {
      if (end.length > this.#longest) throw tooLong()
      return end.toString('utf8')
    }
    this.#keep(end)
    const line = this.#carry.bytes.toString('utf8')
    this.#carry.clear()
    return line
  }

  #line(line: string, events: string[]): void {
    if (line === '') {
      if (this.#data.length > 0) events.push(this.#data.join('\n'))
      this.#data = []
      this.#dataLength = 0
    } else if (line.startsWith('data:')) {
      this.#data.push(line.slice(line[5] === ' ' ? 6 : 5))
      this.#dataLength += line.length
      if (this.#dataLength > this.#longest) throw tooLong()
    }
  }
}

const tooLong = () => new TranslationError('An event of the provider is too long.')
