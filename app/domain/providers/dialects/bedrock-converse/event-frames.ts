import { crc32 } from 'node:zlib'
import { EventStreamCodec } from '@smithy/eventstream-codec'
import { ByteCarry } from '../byte-carry.ts'
import { TranslationError } from '../dialect.ts'

/** Total length, length of the headers, and a checksum over both. In bytes, as are all sizes here. */
const prelude = 12
/** A frame without headers or body: the prelude and a checksum over all. */
const smallest = 16
/** No frame of a chat is nearly as long; what is, would only fill the memory. */
const longest = 1024 * 1024

export interface Frame {
  /** `event`, `exception` or `error` */
  kind: string
  /** What the event, the exception or the error is called. */
  name: string
  /** An error's own text; the others have theirs in the body. */
  message: string | null
  body: string
}

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('utf8')),
  (text) => Buffer.from(text, 'utf8'),
)

function decode(bytes: Buffer): Frame {
  try {
    const { headers, body } = codec.decode(bytes)
    const text = (name: string) => (headers[name]?.type === 'string' ? headers[name].value : null)
    return {
      kind: text(':message-type') ?? 'event',
      name: text(':event-type') ?? text(':exception-type') ?? text(':error-code') ?? '',
      message: text(':error-message'),
      body: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'),
    }
  } catch {
    throw new TranslationError('A frame of the provider is broken.')
  }
}

/** The length of the frame that begins here. The prelude has its own checksum: a wrong length would swallow what follows. */
function lengthOf(bytes: Buffer): number {
  const length = bytes.readUInt32BE(0)
  if (length < smallest || length > longest || crc32(bytes.subarray(0, 8)) !== bytes.readUInt32BE(8))
    throw new TranslationError('A frame of the provider is broken.')
  return length
}

/** Reads frames of `application/vnd.amazon.eventstream` from bytes that may be cut anywhere. */
export class EventFrames {
  readonly #carry = new ByteCarry()
  /** Bytes of the frame that has begun; unknown until its prelude is whole. */
  #length = prelude

  /** Takes as much as the prelude, or then the frame that has begun, still needs. */
  #collect(rest: Buffer): number {
    const taken = Math.min(this.#length - this.#carry.length, rest.length)
    this.#carry.add(rest.subarray(0, taken))
    if (this.#length === prelude && this.#carry.length === prelude) this.#length = lengthOf(this.#carry.bytes)
    return taken
  }

  /**
   * The frames that this piece completes, one by one: what follows the last one asked for is not looked at.
   * @throws TranslationError on a frame whose checksums are wrong
   */
  *push(piece: Buffer): Generator<Frame, void, undefined> {
    let at = 0
    while (at < piece.length) {
      const rest = piece.subarray(at)
      const whole = this.#carry.length === 0 && rest.length >= prelude ? lengthOf(rest) : Number.POSITIVE_INFINITY
      if (rest.length >= whole) {
        at += whole
        yield decode(rest.subarray(0, whole))
      } else {
        at += this.#collect(rest)
        if (this.#carry.length === this.#length) yield this.#take()
      }
    }
  }

  #take(): Frame {
    const frame = decode(this.#carry.bytes)
    this.#carry.clear()
    this.#length = prelude
    return frame
  }
}
