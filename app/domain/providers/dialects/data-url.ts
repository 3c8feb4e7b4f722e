export interface DataUrl {
  media: string
  /** Base64. */
  data: string
}

/** Reads `data:<media type>;base64,<data>`; null when it is none. The data itself is not looked at. */
export function readDataUrl(url: string): DataUrl | null {
  if (!url.startsWith('data:')) return null
  const comma = url.indexOf(',')
  if (comma < 0 || comma > 200) return null
  const [media = '', ...parameters] = url.slice(5, comma).toLowerCase().split(';')
  return parameters.at(-1) === 'base64' ? { media, data: url.slice(comma + 1) } : null
}
