import { arrayOf, isObject, type Json, textOf } from './json-object.ts'

/**
 * Who can read the reasoning again. Providers take back only what they signed or encrypted themselves, so what another
 * one wrote is left out of a request.
 */
export type ReasoningFormat = 'anthropic-claude-v1' | 'openai-responses-v1' | 'unknown'

export interface ReasoningBlock {
  kind: 'text' | 'summary' | 'encrypted'
  /** The text, or the encrypted data. */
  content: string
  signature: string | null
  id: string | null
  format: string | null
}

const kinds: Record<string, ReasoningBlock['kind']> = {
  'reasoning.text': 'text',
  'reasoning.summary': 'summary',
  'reasoning.encrypted': 'encrypted',
}

function readBlock(value: unknown): (ReasoningBlock & { index: unknown }) | null {
  const detail: Json = isObject(value) ? value : {}
  const kind = kinds[String(detail.type)]
  if (!kind) return null
  const content = textOf(kind === 'text' ? detail.text : kind === 'summary' ? detail.summary : detail.data) ?? ''
  return {
    kind,
    content,
    signature: textOf(detail.signature),
    id: textOf(detail.id),
    format: textOf(detail.format),
    index: detail.index ?? null,
  }
}

/**
 * The `reasoning_details` of an assistant message in a request, in the shape OpenRouter gave them. Clients that collect a
 * stream into one list without joining it send every piece as an entry of its own: pieces of one block are joined here.
 */
export function readReasoningDetails(value: unknown): ReasoningBlock[] {
  const blocks: (ReasoningBlock & { index: unknown; pieces: string[] })[] = []
  for (const entry of arrayOf(value)) {
    const block = readBlock(entry)
    if (!block) continue
    const last = blocks.at(-1)
    const joins = last && last.kind === block.kind && last.index === block.index && last.id === block.id
    if (joins && block.kind !== 'encrypted' && last.signature === null) {
      last.pieces.push(block.content)
      last.signature = block.signature
    } else blocks.push({ ...block, pieces: [block.content] })
  }
  return blocks.map(({ pieces, index: _index, ...block }) => ({ ...block, content: pieces.join('') }))
}

export const textDetail = (format: ReasoningFormat, index: number, text: string, signature: string | null): Json => ({
  type: 'reasoning.text',
  text,
  ...(signature === null ? {} : { signature }),
  format,
  index,
})

export const encryptedDetail = (format: ReasoningFormat, index: number, data: string, id?: string): Json => ({
  type: 'reasoning.encrypted',
  data,
  ...(id === undefined ? {} : { id }),
  format,
  index,
})

export const summaryDetail = (format: ReasoningFormat, index: number, summary: string, id?: string): Json => ({
  type: 'reasoning.summary',
  summary,
  ...(id === undefined ? {} : { id }),
  format,
  index,
})
