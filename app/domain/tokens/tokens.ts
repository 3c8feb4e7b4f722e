import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

/**
 * Gateway tokens: `km_live_` (or `km_test_` in the sandbox), 32 random Base62 characters (190 bits) and 6 Base62
 * characters of CRC-32 over everything before them. A typo is refused by the checksum, before any query.
 */
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const SHAPE = /^km_(live|test)_[0-9A-Za-z]{38}$/
const RANDOM_CHARS = 32
const CHECK_CHARS = 6
/** How much of a token is kept for display: the prefix and four characters. */
const DISPLAY_CHARS = 12

export type TokenEnvironment = 'live' | 'test'

/** For secret scanners: every token matches, and the checksum tells a real one from a look-alike. */
export const tokenPattern: string = SHAPE.source

function randomBase62(length: number): string {
  let text = ''
  // Bytes of 248 and more would favour the alphabet's first letters: they are thrown away.
  while (text.length < length)
    for (const byte of randomBytes(length)) if (byte < 248 && text.length < length) text += ALPHABET[byte % 62]
  return text
}

function checksum(body: string): string {
  let value = crc32(body)
  let text = ''
  for (let place = 0; place < CHECK_CHARS; place++) {
    text = ALPHABET[value % 62] + text
    value = Math.floor(value / 62)
  }
  return text
}

/** A new token. It is shown once; only its hash is kept. */
export function makeGatewayToken(environment: TokenEnvironment): string {
  const body = `km_${environment}_${randomBase62(RANDOM_CHARS)}`
  return body + checksum(body)
}

/** Whether the text can be one of our tokens at all: shape and checksum, no query. */
export function isWellFormedToken(text: string): boolean {
  return SHAPE.test(text) && checksum(text.slice(0, -CHECK_CHARS)) === text.slice(-CHECK_CHARS)
}

export const tokenDisplayStart = (token: string): string => token.slice(0, DISPLAY_CHARS)

export interface GatewayTokenRow {
  id: string
  name: string
  displayStart: string
  createdAt: string
  createdBy: string | null
  lastUsedAt: string | null
  revokedAt: string | null
}
