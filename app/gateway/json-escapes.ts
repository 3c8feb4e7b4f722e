const backslash = 0x5c
const hexEscape = 0x75
const quote = 0x22
/** What a byte after a backslash stands for: most for themselves. */
const plain = Uint8Array.from({ length: 256 }, (_, byte) => byte)
for (const [at, letter] of [...'bfnrt'].entries()) plain[letter.charCodeAt(0)] = '\b\f\n\r\t'.charCodeAt(at)

/** The code unit of the escape `\uXXXX` at `at`, or -1 where there is none. */
function unitAt(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== backslash || bytes[at + 1] !== hexEscape || at + 6 > bytes.length) return -1
  let unit = 0
  for (let index = at + 2; index < at + 6; index++) {
    const byte = bytes[index] as number
    const letter = byte | 0x20
    const value = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
    if (value < 0) return -1
    unit = unit * 16 + value
  }
  return unit
}

/** Marks of the first byte, by how many follow. */
const leads = Uint8Array.of(0, 0xc0, 0xe0, 0xf0)

/** Writes a code point as UTF-8, a surrogate without its other half included. @returns where the next byte goes */
function write(to: Uint8Array, at: number, point: number): number {
  const rest = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3
  to[at] = (leads[rest] as number) | (point >> (6 * rest))
  for (let left = rest - 1; left >= 0; left--) to[at + rest - left] = 0x80 | ((point >> (6 * left)) & 0x3f)
  return at + rest + 1
}

/**
 * JSON with its escapes written out, which makes it text rather than JSON: many clients write every letter beyond ASCII as one.
 * Byte by byte: a body may be made of nothing but escapes, and everybody waits for it.
 * @param mark takes the place of the quotes around strings, so that they can be told from quotes within
 */
export function withoutEscapes(bytes: Buffer, mark = quote): Buffer {
  if (mark === quote && !bytes.includes(backslash)) return bytes
  const text = Buffer.allocUnsafe(bytes.length)
  let to = 0
  for (let from = 0; from < bytes.length; ) {
    const byte = bytes[from] as number
    if (byte !== backslash) {
      text[to++] = byte === quote ? mark : byte
      from += 1
      continue
    }
    const unit = unitAt(bytes, from)
    const low = unit >= 0xd800 && unit <= 0xdbff ? unitAt(bytes, from + 6) : -1
    const isPair = low >= 0xdc00 && low <= 0xdfff
    if (unit < 0) text[to++] = plain[bytes[from + 1] ?? backslash] as number
    else to = write(text, to, isPair ? (unit - 0xd800) * 0x400 + low - 0xdc00 + 0x10000 : unit)
    from += isPair ? 12 : unit < 0 ? 2 : 6
  }
  return text.subarray(0, to)
}
