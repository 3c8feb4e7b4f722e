import type { FilePart, ImagePart, Part } from '../chat-content.ts'
import { type DataUrl, readDataUrl } from '../data-url.ts'
import { compact, type Json } from '../json-object.ts'
import { refuse, unsupported } from '../refuse.ts'

export const provider = "Bedrock's Converse API"

const pictures: Record<string, string> = {
  'image/jpeg': 'jpeg',
  'image/png': 'png',
  'image/gif': 'gif',
  'image/webp': 'webp',
}

const documents: Record<string, string> = {
  'application/pdf': 'pdf',
  'text/csv': 'csv',
  'text/html': 'html',
  'text/plain': 'txt',
  'text/markdown': 'md',
  'application/msword': 'doc',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.ms-excel': 'xls',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
}

/** Bedrock takes bytes only. What lies behind a URL is not fetched here: that would let a caller reach into our network. */
function bytesOf(url: string, at: string, formats: Record<string, string>): DataUrl & { format: string } {
  const data = readDataUrl(url)
  if (!data) return refuse(at, `must be a base64 data URL for ${provider}.`)
  const format = formats[data.media]
  return format === undefined ? refuse(at, `must hold one of ${Object.keys(formats).join(', ')}.`) : { ...data, format }
}

function image(part: ImagePart): Json {
  if (part.detail === 'low') unsupported(`${part.at}.image_url.detail`, provider)
  const { format, data } = bytesOf(part.url, `${part.at}.image_url.url`, pictures)
  return { image: { format, source: { bytes: data } } }
}

/** Bedrock takes letters, digits, blanks and a few signs in the name of a document, and no name twice. */
export class DocumentNames {
  readonly #taken = new Set<string>()

  name(given: string | null): string {
    const plain = (given ?? '').replace(/\.[A-Za-z0-9]{1,5}$/, '').replace(/[^A-Za-z0-9()[\]-]+/g, ' ')
    const wanted = plain.trim().slice(0, 100) || 'document'
    let name = wanted
    for (let copy = 2; this.#taken.has(name); copy += 1) name = `${wanted} ${copy}`
    this.#taken.add(name)
    return name
  }
}

function file(part: FilePart, names: DocumentNames): Json {
  if (part.id !== null) unsupported(`${part.at}.file.file_id`, provider)
  const at = `${part.at}.file.file_data`
  if (part.data === null) return refuse(at, 'is required.')
  const { format, data } = bytesOf(part.data, at, documents)
  return { document: { format, name: names.name(part.name), source: { bytes: data } } }
}

/** Everything before it may be kept in the prompt cache. */
export const cachePoint = (cache: Json): Json => ({ cachePoint: compact({ type: 'default', ttl: cache.ttl }) })

/** Content blocks, each followed by its cache point. */
export function blocks(parts: Part[], names: DocumentNames): Json[] {
  const block = (part: Part): Json =>
    part.kind === 'image' ? image(part) : part.kind === 'file' ? file(part, names) : { text: part.text }
  return parts.flatMap((part) => (part.cache ? [block(part), cachePoint(part.cache)] : [block(part)]))
}
