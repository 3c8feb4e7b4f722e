import { compact, type Json } from './json-object.ts'
import { arrayAt, objectAt, onlyMembers, refuse, textAt } from './refuse.ts'

interface PartBase {
  /** Where in the request the part stands, for refusals. */
  at: string
  /** `cache_control` as the caller wrote it: everything up to here may be kept in the prompt cache. */
  cache: Json | null
}

export interface TextPart extends PartBase {
  kind: 'text' | 'refusal'
  text: string
}

export interface ImagePart extends PartBase {
  kind: 'image'
  url: string
  detail: string | null
}

export interface FilePart extends PartBase {
  kind: 'file'
  /** A data URL, or null where the file is named by its id. */
  data: string | null
  id: string | null
  name: string | null
}

export type Part = TextPart | ImagePart | FilePart

type Kind = Part['kind']

const details = ['auto', 'low', 'high', 'original']

/** `cache_control` of a part, a message or a tool: `{"type":"ephemeral"}`, with `ttl` 5m or 1h. */
export function readCache(value: unknown, at: string): Json | null {
  if (value === undefined || value === null) return null
  const cache = objectAt(value, at)
  onlyMembers(cache, at, ['type', 'ttl'])
  if (cache.type !== 'ephemeral') refuse(`${at}.type`, "must be 'ephemeral'.")
  if (cache.ttl !== undefined && cache.ttl !== '5m' && cache.ttl !== '1h') refuse(`${at}.ttl`, "must be '5m' or '1h'.")
  return cache
}

function readImage(part: Json, at: string, base: PartBase): ImagePart {
  onlyMembers(part, at, ['type', 'image_url', 'cache_control'])
  const image = objectAt(part.image_url, `${at}.image_url`)
  onlyMembers(image, `${at}.image_url`, ['url', 'detail'])
  const detail = image.detail ?? null
  if (detail !== null && !details.includes(detail as string))
    refuse(`${at}.image_url.detail`, "must be 'auto', 'low' or 'high'.")
  return { ...base, kind: 'image', url: textAt(image.url, `${at}.image_url.url`), detail: detail as string | null }
}

function readFile(part: Json, at: string, base: PartBase): FilePart {
  onlyMembers(part, at, ['type', 'file', 'cache_control'])
  const file = compact(objectAt(part.file, `${at}.file`))
  onlyMembers(file, `${at}.file`, ['file_data', 'file_id', 'filename'])
  const text = (name: string) => (file[name] === undefined ? null : textAt(file[name], `${at}.file.${name}`))
  return { ...base, kind: 'file', data: text('file_data'), id: text('file_id'), name: text('filename') }
}

function readPart(value: unknown, at: string, kinds: readonly Kind[]): Part {
  const part = objectAt(value, at)
  const allowed = (kind: Kind) => kinds.includes(kind) || refuse(`${at}.type`, 'is not accepted here.')
  const base = { at, cache: readCache(part.cache_control, `${at}.cache_control`) }
  switch (part.type) {
    case 'text':
      allowed('text')
      onlyMembers(part, at, ['type', 'text', 'cache_control', 'annotations'])
      return { ...base, kind: 'text', text: textAt(part.text, `${at}.text`) }
    case 'refusal':
      allowed('refusal')
      onlyMembers(part, at, ['type', 'refusal'])
      return { ...base, kind: 'refusal', text: textAt(part.refusal, `${at}.refusal`) }
    case 'image_url':
      allowed('image')
      return readImage(part, at, base)
    case 'file':
      allowed('file')
      return readFile(part, at, base)
    default:
      return refuse(`${at}.type`, 'is not accepted for this provider.')
  }
}

/** A message's content: a string, a list of parts, or nothing. Empty texts are left out, since no provider takes them. */
export function readContent(value: unknown, at: string, kinds: readonly Kind[], cache: Json | null): Part[] {
  if (value === undefined || value === null) return []
  const parts: Part[] =
    typeof value === 'string'
      ? [{ kind: 'text', text: value, at, cache: null }]
      : arrayAt(value, at).map((part, index) => readPart(part, `${at}[${index}]`, kinds))
  const said = parts.filter((part) => (part.kind !== 'text' && part.kind !== 'refusal') || part.text !== '')
  const last = said.at(-1)
  if (cache && last) last.cache = cache
  return said
}
