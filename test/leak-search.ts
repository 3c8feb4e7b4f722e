import { randomBytes } from 'node:crypto'

/** Fragments are long enough that no chance holds one, and a secret that is cut in two still leaves a whole one. */
const FRAGMENT_CHARS = 16
const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789'

const fragment = (): string =>
  Array.from(randomBytes(FRAGMENT_CHARS), (byte) => ALPHABET[byte % ALPHABET.length]).join('')

export interface Canary {
  name: string
  text: string
  fragments: string[]
}

/** A secret of three distinct fragments between `before` and `after`, which may be shown. */
export function makeCanary(name: string, before = '', after = ''): Canary {
  const fragments = [fragment(), fragment(), fragment()]
  return { name, text: before + fragments.join('') + after, fragments }
}

/** A canary of a secret that somebody else made: its middle, in two fragments. */
export const canaryOf = (name: string, text: string, from: number): Canary => ({
  name,
  text,
  fragments: [text.slice(from, from + FRAGMENT_CHARS), text.slice(text.length - FRAGMENT_CHARS)],
})

/** What base64 makes of the text's whole bytes when 0, 1 or 2 other bytes stand before it. */
function base64Alignments(text: string): string[] {
  return [0, 1, 2].map((shift) => {
    const encoded = Buffer.from('\0'.repeat(shift) + text).toString('base64')
    const first = Math.ceil((shift * 8) / 6)
    return encoded.slice(first, Math.floor(((shift + text.length) * 8) / 6))
  })
}

const each = (text: string, write: (byte: number) => string) => [...Buffer.from(text)].map(write).join('')
const hex = (byte: number) => byte.toString(16).padStart(2, '0')

/** Every form a fragment may have taken. */
export function formsOf(text: string): Record<string, string> {
  const [plain, one, two] = base64Alignments(text) as [string, string, string]
  const forms: Record<string, string> = {
    raw: text,
    'lower case': text.toLowerCase(),
    reversed: [...text].reverse().join(''),
    base64: plain,
    'base64 after one byte': one,
    'base64 after two bytes': two,
    hex: each(text, hex),
    HEX: each(text, hex).toUpperCase(),
    'URL-escaped': each(text, (byte) => `%${hex(byte)}`),
    'URL-ESCAPED': each(text, (byte) => `%${hex(byte).toUpperCase()}`),
    'JSON-escaped': each(text, (byte) => `\\u00${hex(byte)}`),
    'HTML-escaped': each(text, (byte) => `&#x${hex(byte)};`),
    'UTF-16': Buffer.from(text, 'utf16le').toString('latin1'),
    'UTF-16 in hex': Buffer.from(text, 'utf16le').toString('hex'),
  }
  for (const name of ['base64', 'base64 after one byte', 'base64 after two bytes'])
    forms[name.replace('base64', 'base64url')] = (forms[name] as string).replaceAll('+', '-').replaceAll('/', '_')
  return forms
}

/** @returns a line per place, canary and form that was found; empty: nothing leaked */
export function searchLeaks(places: Map<string, string>, canaries: Canary[]): string[] {
  const found: string[] = []
  for (const canary of canaries)
    for (const part of canary.fragments)
      for (const [form, needle] of Object.entries(formsOf(part)))
        for (const [place, text] of places) if (text.includes(needle)) found.push(`${place}: ${canary.name}, ${form}`)
  return found
}
