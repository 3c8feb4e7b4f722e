import type { ProviderId } from '#app/domain/providers/provider.ts'
import type { Scenario } from '../openrouter/scenario.ts'
import { rawJson } from './raw-json.ts'
import { countTokens, usageSlot, withUsage } from './reply.ts'

interface EmbeddingsBody {
  model?: unknown
  input?: unknown
  encoding_format?: string
  dimensions?: number
}

/** A vector that depends on the text alone. */
function vectorOf(text: string, dimensions: number): number[] {
  const bytes = Buffer.from(text.padEnd(8, '.'))
  return Array.from({ length: dimensions }, (_, index) => ((bytes[index % bytes.length] ?? 0) - 64) / 128)
}

const encode = (vector: number[]) => Buffer.from(new Float32Array(vector).buffer).toString('base64')

const usageOf = (scenario: Scenario, usage: object): string | null => {
  if (scenario.usage === 'none') return null
  return scenario.usageText ?? JSON.stringify(usage)
}

const costOf = (provider: ProviderId) =>
  provider === 'openrouter' ? { cost: rawJson('0.00000012'), is_byok: false } : {}

/** The body of an embeddings reply; null where the request is none. */
export function embeddingsJson(
  provider: ProviderId,
  body: EmbeddingsBody,
  model: string,
  scenario: Scenario,
): string | null {
  const texts = typeof body.input === 'string' ? [body.input] : body.input
  if (!Array.isArray(texts) || texts.length === 0) return null
  const input = scenario.input ?? texts.reduce<number>((sum, text) => sum + countTokens(String(text)), 0)
  const usage = usageOf(scenario, { prompt_tokens: input, total_tokens: input, ...costOf(provider) })
  const data = texts.map((text, index) => {
    const vector = vectorOf(String(text), body.dimensions ?? 8)
    return { object: 'embedding', index, embedding: body.encoding_format === 'base64' ? encode(vector) : vector }
  })
  return withUsage({ object: 'list', data, model: scenario.replyModel ?? model, ...usageSlot(usage) }, usage)
}

interface RerankBody {
  query?: unknown
  documents?: unknown
  top_n?: number
}

/** The body of a rerank reply; null where the request is none. The more letters shared with the query, the better. */
export function rerankJson(provider: ProviderId, body: RerankBody, model: string, scenario: Scenario): string | null {
  const { query, documents } = body
  if (typeof query !== 'string' || !Array.isArray(documents) || documents.length === 0) return null
  const text = (document: unknown) =>
    typeof document === 'string' ? document : String((document as { text?: unknown })?.text)
  const score = (document: unknown) => {
    const letters = new Set(text(document))
    return [...new Set(query)].filter((letter) => letters.has(letter)).length / new Set(query).size
  }
  const results = documents
    .map((document, index) => ({ index, relevance_score: score(document), document: { text: text(document) } }))
    .sort((a, b) => b.relevance_score - a.relevance_score)
    .slice(0, body.top_n ?? documents.length)
  const usage = usageOf(scenario, {
    search_units: 1,
    total_tokens: scenario.input ?? countTokens(JSON.stringify(documents)),
    ...costOf(provider),
  })
  return withUsage({ id: 'rerank-sandbox', model: scenario.replyModel ?? model, results, ...usageSlot(usage) }, usage)
}
