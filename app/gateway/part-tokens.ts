import { isUtf8 } from 'node:buffer'
import { withoutEscapes } from './json-escapes.ts'
import { known, wordAt } from './known-words.ts'
import { textTokens } from './text-tokens.ts'

/**
 * Tokens that are set aside for a part of the input that is no text, whatever its size: what the dearest of the usual models
 * count for one, since an address does not say what lies behind it, and bytes of a picture are no tokens. Audio: ten minutes.
 */
const kindTokens = new Map([
  ...['image_url', 'input_image', 'image'].map((name) => [known(name), 5_000] as const),
  ...['input_audio', 'audio_url', 'audio'].map((name) => [known(name), 20_000] as const),
  ...['file', 'input_file', 'document', 'video_url', 'input_video', 'video'].map(
    (name) => [known(name), 50_000] as const,
  ),
])

const fileData = known('file_data')
const addressNames = new Set([
  ...['url', 'image_url', 'audio_url', 'video_url', 'file_url', 'data', 'image'].map(known),
  fileData,
])
const [type, text, content, id, role, reference] = ['type', 'text', 'content', 'id', 'role', 'item_reference'].map(
  known,
)

/** A shorter address is counted as the text it is, in bytes: looking at it costs more than it weighs. */
const shortest = 256
/** Where it lies, or bytes that are no text. */
const address =
  /^(?:https?:|data:(?:image|audio|video)\/|data:application\/(?:pdf|octet-stream|vnd|msword|zip)|[\w+/-]*={0,2}$)/i

/** A text file in the request is read as the text it is. */
const encodedText = /^data:text\/[^,]*;base64,/i
/** A file that does not say what it is: some providers go by its name. */
const encodedFile = /^(?:data:application\/octet-stream[^,]*,)?(?=[\w+/-]*={0,2}$)/i

const isText = (bytes: Buffer): boolean => isUtf8(bytes) && bytes.toString('latin1', 0, 4) !== '%PDF'

function addressTokens(name: number, value: string): number {
  const file = name === fileData ? encodedFile.exec(value)?.[0] : undefined
  if (file !== undefined) {
    const bytes = Buffer.from(value.slice(file.length), 'base64')
    return isText(bytes) ? textTokens(bytes) : 0
  }
  if (address.test(value)) return 0
  const encoded = encodedText.exec(value)?.[0]
  return textTokens(encoded ? Buffer.from(value.slice(encoded.length), 'base64') : Buffer.from(value))
}

/** An array or object that is open. What it holds is counted twice, since only its end tells what it was. Tokens. */
interface Level {
  isObject: boolean
  /** The name of the member it is the value of, or lies in an array of; and of the one that is being read in it. */
  name: number
  member: number
  awaitsName: boolean
  /** Where it lies in a part: addresses count nothing. */
  inPart: number
  /** Where it does not. */
  asText: number
  /** What its kinds stand for: a part of two types is held for both. */
  kinds: number
  type: number
  /** Whether it names these. */
  typed: boolean
  id: boolean
  role: boolean
}

const newLevel = (): Level => ({
  ...{ isObject: false, name: 0, member: 0, awaitsName: false, inPart: 0, asText: 0, kinds: 0, type: 0 },
  ...{ typed: false, id: false, role: false },
})

/** In place of the quotes around strings: a byte that no UTF-8 has. */
const mark = 0xff
const [openBrace, closeBrace, openBracket, closeBracket, comma, colon] = Buffer.from('{}[],:')
const isSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
const endsScalar = (byte: number) =>
  byte === comma || byte === closeBrace || byte === closeBracket || byte === colon || byte === mark || isSpace(byte)

/**
 * Reads an input once, from its first byte to its last, and makes nothing of it: parsed, a body of a million values keeps everybody
 * waiting for a second. JSON that no parser takes is counted all the same: the provider will refuse it. A member that is named
 * twice counts twice.
 */
class InputWalk {
  readonly #bytes: Buffer
  readonly #levels: Level[] = [newLevel()]
  #depth = 0
  #level: Level = this.#levels[0] as Level
  /** An item of it stands for one that the provider keeps. */
  refers = false

  constructor(bytes: Buffer) {
    this.#bytes = withoutEscapes(bytes, mark)
  }

  run(): number {
    const bytes = this.#bytes
    for (let at = 0; at < bytes.length; ) {
      const byte = bytes[at] as number
      if (byte === mark) at = this.#string(at + 1)
      else if (byte === openBrace || byte === openBracket) {
        this.#open(byte === openBrace)
        at += 1
      } else if (byte === closeBrace || byte === closeBracket) {
        if (this.#depth > 0) this.#close()
        at += 1
      } else if (byte === comma) {
        this.#level.awaitsName = this.#level.isObject
        at += 1
      } else if (byte === colon || isSpace(byte)) at += 1
      else at = this.#scalar(at)
    }
    while (this.#depth > 0) this.#close()
    return this.#level.asText
  }

  #add(tokens: number): void {
    this.#level.inPart += tokens
    this.#level.asText += tokens
  }

  #open(isObject: boolean): void {
    const { member } = this.#level
    this.#depth += 1
    if (this.#depth === this.#levels.length) this.#levels.push(newLevel())
    const level = this.#levels[this.#depth] as Level
    level.isObject = isObject
    level.awaitsName = isObject
    level.name = member
    level.member = isObject ? 0 : member
    level.inPart = level.asText = level.kinds = level.type = 0
    level.typed = level.id = level.role = false
    this.#level = level
  }

  /**
   * A part that calls itself an image has its words read all the same: nothing but what is known to be none is left out. Contents
   * are text wherever they lie, and so is the source of a document that says so.
   */
  #close(): void {
    const level = this.#level
    const isPart = kindTokens.has(level.type)
    const isContent = level.name === content || level.type === text
    if (this.#depth === 2 && level.isObject && this.#isReference(level)) this.refers = true
    this.#depth -= 1
    this.#level = this.#levels[this.#depth] as Level
    this.#level.inPart += 1 + level.kinds + (isContent && !isPart ? level.asText : level.inPart)
    this.#level.asText += 1 + level.kinds + (isPart ? level.inPart : level.asText)
  }

  /** A reference need not say its type; a message without one has a role. */
  #isReference({ type, typed, id, role }: Level): boolean {
    return type === reference || (!typed && id && !role)
  }

  #string(start: number): number {
    const bytes = this.#bytes
    let end = start
    while (end < bytes.length && bytes[end] !== mark) end += 1
    const level = this.#level
    const tokens = textTokens(bytes, start, end)
    if (level.awaitsName) {
      level.awaitsName = false
      level.member = wordAt(bytes, start, end)
      if (level.member === id) level.id = true
      if (level.member === role) level.role = true
      this.#add(tokens + 1)
      return end + 1
    }
    if (level.isObject && level.member === type) this.#type(wordAt(bytes, start, end))
    // Every text of a list is one by itself, however short: nine thousand of one letter are nine thousand tokens, not a quarter of that.
    const apart = level.isObject ? 0 : 1
    level.asText += tokens + apart
    const isAddress = end - start >= shortest && addressNames.has(level.member)
    level.inPart += apart + (isAddress ? addressTokens(level.member, bytes.toString('utf8', start, end)) : tokens)
    return end + 1
  }

  #type(word: number): void {
    this.#level.type = word
    this.#level.typed = true
    this.#level.kinds += kindTokens.get(word) ?? 0
  }

  #scalar(start: number): number {
    const bytes = this.#bytes
    let end = start + 1
    while (end < bytes.length && !endsScalar(bytes[end] as number)) end += 1
    this.#add(Math.max(1, textTokens(bytes, start, end)))
    return end
  }
}

export interface InputParts {
  tokens: number
  /** An item of it stands for one that the provider keeps (`item_reference` of Responses). */
  refers: boolean
}

/** What is set aside for an array of messages, items, texts or documents: its texts by their bytes, its parts by their kind. */
export function partTokens(bytes: Buffer): InputParts {
  const walk = new InputWalk(bytes)
  return { tokens: walk.run(), refers: walk.refers }
}
