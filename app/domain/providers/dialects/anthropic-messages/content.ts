import type { FilePart, ImagePart, Part } from '../chat-content.ts'
import { readDataUrl } from '../data-url.ts'
import { compact, type Json } from '../json-object.ts'
import { refuse, unsupported } from '../refuse.ts'

export const provider = "Anthropic's Messages API"

const pictures = ['image/jpeg', 'image/png', 'image/gif', 'image/webp']

function source(url: string, at: string, media: readonly string[]): Json {
  if (url.startsWith('https://')) return { type: 'url', url }
  const data = readDataUrl(url)
  if (!data) return refuse(at, 'must be an https URL or a base64 data URL.')
  if (!media.includes(data.media)) refuse(at, `must hold one of ${media.join(', ')}.`)
  return data.media === 'text/plain'
    ? { type: 'text', media_type: data.media, data: Buffer.from(data.data, 'base64').toString('utf8') }
    : { type: 'base64', media_type: data.media, data: data.data }
}

function image(part: ImagePart): Json {
  // Anthropic always looks at a picture in full; only the wish for less cannot be passed on.
  if (part.detail === 'low') unsupported(`${part.at}.image_url.detail`, provider)
  return { type: 'image', source: source(part.url, `${part.at}.image_url.url`, pictures) }
}

function file(part: FilePart): Json {
  if (part.id !== null) unsupported(`${part.at}.file.file_id`, provider)
  if (part.data === null) return refuse(`${part.at}.file.file_data`, 'is required.')
  const at = `${part.at}.file.file_data`
  const document = source(part.data, at, ['application/pdf', 'text/plain'])
  return { type: 'document', source: document, ...(part.name ? { title: part.name } : {}) }
}

function block(part: Part): Json {
  if (part.kind === 'image') return image(part)
  return part.kind === 'file' ? file(part) : { type: 'text', text: part.text }
}

/** Content blocks, each with its cache mark. */
export const blocks = (parts: Part[]): Json[] =>
  parts.map((part) => compact({ ...block(part), cache_control: part.cache }))

/** The content of a tool result, which carries no cache marks of its own: they belong to the result. */
export const plainBlocks = (parts: Part[]): Json[] => parts.map(block)
