/** Where the value of a top-level member lies in the bytes: `start` inclusive, `end` exclusive. */
export interface Member {
  start: number
  end: number
  /** What the value begins with. */
  kind: 'object' | 'array' | 'string' | 'scalar'
  /** Elements of an array, members of an object; 0 for the others. */
  size: number
  /** About how many values a parser would make of it: one, or one for each bracket that opens and each comma. */
  values: number
}

export type ScanFailure =
  | 'not_an_object'
  | 'not_json'
  | 'too_deep'
  | 'too_many_members'
  | 'duplicate_member'
  | 'not_utf8'

export type Scan = { ok: true; members: Map<string, Member> } | { ok: false; failure: ScanFailure; member?: string }

const quote = 0x22
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const comma = 0x2c
const colon = 0x3a

/** Deeper nesting than this is refused: no chat request needs it and parsers elsewhere overflow on it. */
const maxDepth = 200
/** More members than this are refused: no request and no reply has as many, and each of them is looked at by itself. */
const maxMembers = 256

const scalar = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/

const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

function afterSpace(bytes: Buffer, at: number): number {
  while (isSpace(bytes[at])) at += 1
  return at
}

/** Behind the mark that some put before UTF-8. */
const afterMark = (bytes: Buffer): number => (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0)

/** So far the end of a string is looked for byte by byte, in bytes: for a short one a native search costs more than it finds. */
const near = 32

/** The position behind the closing quote of the string that opens at `at`, or -1. */
function afterString(bytes: Buffer, at: number): number {
  let from = at + 1
  for (;;) {
    const far = Math.min(from + near, bytes.length)
    while (from < far && bytes[from] !== quote) from += 1
    const end = from < far ? from : bytes.indexOf(quote, from)
    if (end < 0) return -1
    let slashes = 0
    while (bytes[end - 1 - slashes] === backslash && end - 1 - slashes > at) slashes += 1
    if (slashes % 2 === 0) return end + 1
    from = end + 1
  }
}

type Nested = Pick<Member, 'end' | 'size' | 'values'>

/** Walks over an object or array, checking only that quotes and brackets close in the right order. */
function afterNested(bytes: Buffer, at: number): Nested | ScanFailure {
  const open: number[] = []
  let commas = 0
  let values = 0
  let index = at
  while (index < bytes.length) {
    const byte = bytes[index]
    if (byte === quote) {
      index = afterString(bytes, index)
      if (index < 0) return 'not_json'
      continue
    }
    if (byte === openBrace || byte === openBracket) {
      open.push(byte === openBrace ? closeBrace : closeBracket)
      values += 1
      if (open.length > maxDepth) return 'too_deep'
    } else if (byte === closeBrace || byte === closeBracket) {
      if (open.pop() !== byte) return 'not_json'
      if (open.length === 0) {
        const empty = afterSpace(bytes, at + 1) === index
        return { end: index + 1, size: empty ? 0 : commas + 1, values }
      }
    } else if (byte === comma) {
      values += 1
      if (open.length === 1) commas += 1
    }
    index += 1
  }
  return 'not_json'
}

function scanValue(bytes: Buffer, start: number): Member | ScanFailure {
  const first = bytes[start]
  if (first === quote) {
    const end = afterString(bytes, start)
    return end < 0 ? 'not_json' : { start, end, kind: 'string', size: 0, values: 1 }
  }
  if (first === openBrace || first === openBracket) {
    const nested = afterNested(bytes, start)
    if (typeof nested === 'string') return nested
    return { start, kind: first === openBrace ? 'object' : 'array', ...nested }
  }
  let end = start
  while (
    end < bytes.length &&
    end - start < 400 &&
    !isSpace(bytes[end]) &&
    bytes[end] !== comma &&
    bytes[end] !== closeBrace
  )
    end += 1
  if (!scalar.test(bytes.toString('latin1', start, end))) return 'not_json'
  return { start, end, kind: 'scalar', size: 0, values: 1 }
}

function readName(bytes: Buffer, start: number, end: number): string | null {
  try {
    return JSON.parse(bytes.toString('utf8', start, end)) as string
  } catch {
    return null
  }
}

/**
 * Finds the top-level members of a JSON object without parsing it: the bytes stay as they came and go on as they came.
 * Nested values are only walked over, so what it accepts may still be refused by a full parser; what it says about the
 * top level is exact. A name given twice is refused, since two readers may disagree on which one counts.
 */
export function scanMembers(bytes: Buffer): Scan {
  const members = new Map<string, Member>()
  let at = afterSpace(bytes, afterMark(bytes))
  if (bytes[at] !== openBrace) return { ok: false, failure: bytes[at] === openBracket ? 'not_an_object' : 'not_json' }
  at = afterSpace(bytes, at + 1)
  if (bytes[at] === closeBrace) return endsAt(bytes, at + 1, members)
  for (;;) {
    if (bytes[at] !== quote) return { ok: false, failure: 'not_json' }
    const nameEnd = afterString(bytes, at)
    if (nameEnd < 0) return { ok: false, failure: 'not_json' }
    const name = readName(bytes, at, nameEnd)
    at = afterSpace(bytes, nameEnd)
    if (name === null || bytes[at] !== colon) return { ok: false, failure: 'not_json' }
    if (members.has(name)) return { ok: false, failure: 'duplicate_member', member: name }
    if (members.size === maxMembers) return { ok: false, failure: 'too_many_members' }
    const value = scanValue(bytes, afterSpace(bytes, at + 1))
    if (typeof value === 'string') return { ok: false, failure: value }
    members.set(name, value)
    at = afterSpace(bytes, value.end)
    if (bytes[at] === closeBrace) return endsAt(bytes, at + 1, members)
    if (bytes[at] !== comma) return { ok: false, failure: 'not_json' }
    at = afterSpace(bytes, at + 1)
  }
}

function endsAt(bytes: Buffer, at: number, members: Map<string, Member>): Scan {
  return afterSpace(bytes, at) === bytes.length ? { ok: true, members } : { ok: false, failure: 'not_json' }
}

/**
 * About how many values a parser would make of a text that is one JSON object: one for each bracket that opens and each comma.
 * Null where it is none, or is nested too deeply.
 */
export function valuesInObject(text: string): number | null {
  const bytes = Buffer.from(text)
  const start = afterSpace(bytes, 0)
  const nested = bytes[start] === openBrace ? afterNested(bytes, start) : 'not_json'
  return typeof nested === 'object' && afterSpace(bytes, nested.end) === bytes.length ? nested.values : null
}

/** Where an element of an array lies, with what is around it but for the commas, and about how many values a parser makes of it. */
export type Element = Pick<Member, 'start' | 'end' | 'values'>

/**
 * Finds the elements of bytes that are one JSON array, without parsing it. They are all that a parser has left to judge: where it takes
 * each of them, it takes the whole. Null where the bytes are no array, or one whose quotes and brackets do not close in order, or one
 * that is nested too deeply.
 * @param most where there are more, the first of them and one more are all that is found, whatever follows
 */
export function scanElements(bytes: Buffer, most: number): Element[] | null {
  let at = afterSpace(bytes, afterMark(bytes))
  if (bytes[at] !== openBracket) return null
  at = afterSpace(bytes, at + 1)
  if (bytes[at] === closeBracket) return afterSpace(bytes, at + 1) === bytes.length ? [] : null
  const elements: Element[] = []
  for (let start = at, values = 1; at < bytes.length; ) {
    const byte = bytes[at]
    if (byte === quote) {
      at = afterString(bytes, at)
      if (at < 0) return null
    } else if (byte === openBrace || byte === openBracket) {
      const nested = afterNested(bytes, at)
      if (typeof nested === 'string') return null
      at = nested.end
      values += nested.values
    } else if (byte === comma || byte === closeBracket) {
      elements.push({ start, end: at, values })
      if (elements.length > most) return elements
      at += 1
      if (byte === closeBracket) return afterSpace(bytes, at) === bytes.length ? elements : null
      start = at
      values = 1
    } else if (byte === closeBrace) return null
    else at += 1
  }
  return null
}

/** The text of a member, as it stands in the bytes. */
export const memberText = (bytes: Buffer, member: Member): string => bytes.toString('utf8', member.start, member.end)

/** The value of a string member, or null when it is no string or its escapes are broken. */
export function stringMember(bytes: Buffer, member: Member | undefined): string | null {
  return member?.kind === 'string' ? readName(bytes, member.start, member.end) : null
}
