import type { ListedModel, ModelPrices, PriceOverride } from '../listed-model.ts'
import type { ModelList } from '../provider.ts'
import { parseLossless } from '../usage.ts'
import { exactDecimal, multiplyDecimals, numberText, subtractDecimals } from './exact-decimal.ts'
import { isObject, type Json, objectAt } from './json-reply.ts'

/** More than any provider lists; the rest of a longer list is left out. */
const mostModels = 10_000

/** A price that a provider can mean: negative ones mark routers whose price is that of what they choose. */
const price = (value: unknown, shift = 0): string | undefined => {
  const text = exactDecimal(value, shift)
  return text === null || text.startsWith('-') ? undefined : text
}

function pricesOf(input: string | undefined, output: string | undefined, more: Partial<ModelPrices>) {
  if (input === undefined || output === undefined) return undefined
  const known = Object.entries(more).filter(([, value]) => value !== undefined)
  return { input, output, ...Object.fromEntries(known) } as ModelPrices
}

const perMillion = -6

/**
 * Per token or per million, by size: documents and clients of these two disagree, and no price of a token reaches a tenth
 * of a cent, nor does any million cost less.
 */
const bySize = (value: unknown): string | undefined => {
  const asWritten = price(value)
  if (asWritten === undefined || /^0(?:\.000[0-9]*)?$/.test(asWritten)) return asWritten
  return price(value, perMillion)
}

const openrouterNames = {
  input: 'prompt',
  output: 'completion',
  cacheRead: 'input_cache_read',
  cacheWrite: 'input_cache_write',
  request: 'request',
} as const

/** A row's own prices less its discount (providers §1.5); a per-request price of zero says nothing. */
function openrouterPrices(pricing: Json): Partial<ModelPrices> {
  const factor = pricing.discount === undefined ? null : subtractDecimals('1', numberText(pricing.discount))
  const found: Partial<Record<keyof typeof openrouterNames, string>> = {}
  for (const [name, theirs] of Object.entries(openrouterNames) as [keyof typeof openrouterNames, string][]) {
    const listed = price(pricing[theirs])
    if (listed === undefined || (name === 'request' && listed === '0')) continue
    found[name] = factor === null ? listed : (multiplyDecimals(listed, factor) ?? listed)
  }
  return found
}

function openrouterOverride(row: unknown): PriceOverride[] {
  if (!isObject(row)) return []
  const min = Number(numberText(row.min_prompt_tokens) ?? Number.NaN)
  const hour = (value: unknown) => (/^\d{4}$/.test(numberText(value) ?? '') ? (numberText(value) as string) : undefined)
  const [utcStart, utcEnd] = [hour(row.utc_start), hour(row.utc_end)]
  const condition = {
    ...(Number.isSafeInteger(min) ? { minPromptTokens: min } : {}),
    ...(utcStart && utcEnd ? { utcStart, utcEnd } : {}),
  }
  return Object.keys(condition).length ? [{ ...condition, prices: openrouterPrices(row) }] : []
}

/** Vercel's bands: `[{ cost, min, max }]` beside the plain price. The first band is that price. */
function vercelBands(pricing: Json): PriceOverride[] {
  const bands = new Map<number, PriceOverride>()
  for (const [name, theirs] of Object.entries({ input: 'input_tiers', output: 'output_tiers' })) {
    for (const band of Array.isArray(pricing[theirs]) ? (pricing[theirs] as unknown[]) : []) {
      const min = isObject(band) ? Number(numberText(band.min) ?? 0) : 0
      const cost = isObject(band) ? price(band.cost) : undefined
      if (!(min > 0) || cost === undefined) continue
      const entry = bands.get(min) ?? { minPromptTokens: min, prices: {} }
      Object.assign(entry.prices, { [name]: cost })
      bands.set(min, entry)
    }
  }
  return [...bands.values()].sort((a, b) => (a.minPromptTokens ?? 0) - (b.minPromptTokens ?? 0))
}

type PriceReader = (row: Json) => ModelPrices | undefined
const orNone = <T>(list: T[]): T[] | undefined => (list.length ? list : undefined)

const priceReaders: Record<NonNullable<ModelList['prices']>, PriceReader> = {
  openrouter: (row) => {
    const pricing = objectAt(row, 'pricing')
    const { input, output, ...more } = openrouterPrices(pricing)
    const overrides = Array.isArray(pricing.overrides) ? pricing.overrides.flatMap(openrouterOverride) : []
    return pricesOf(input, output, { ...more, overrides: orNone(overrides) })
  },
  crof: (row) => {
    const { prompt, completion, cache_prompt } = objectAt(row, 'pricing')
    return pricesOf(bySize(prompt), bySize(completion), { cacheRead: bySize(cache_prompt) })
  },
  akash: (row) => {
    const { input, output, request } = objectAt(row, 'pricing')
    const perCall = price(request)
    return pricesOf(bySize(input), bySize(output), { request: perCall === '0' ? undefined : perCall })
  },
  chutes: (row) => {
    const { prompt, completion, input_cache_read } = objectAt(row, 'pricing')
    const cacheRead = price(input_cache_read, perMillion)
    return pricesOf(price(prompt, perMillion), price(completion, perMillion), { cacheRead })
  },
  vercel: (row) => {
    const pricing = objectAt(row, 'pricing')
    const cache = { cacheRead: price(pricing.input_cache_read), cacheWrite: price(pricing.input_cache_write) }
    return pricesOf(price(pricing.input), price(pricing.output), { ...cache, overrides: orNone(vercelBands(pricing)) })
  },
  // ten-thousandths of a dollar per million
  novita: (row) => pricesOf(price(row.input_token_price_per_m, -10), price(row.output_token_price_per_m, -10), {}),
  together: (row) => {
    const { input, output, cached_input } = objectAt(row, 'pricing')
    return pricesOf(price(input, perMillion), price(output, perMillion), { cacheRead: price(cached_input, perMillion) })
  },
}

const contextNames = ['context_length', 'context_window', 'context_size', 'max_model_len', 'inputTokenLimit']

function contextOf(row: Json): number | undefined {
  const text = contextNames.map((name) => numberText(row[name])).find((found) => found !== null)
  const tokens = Number(text ?? 0)
  return Number.isSafeInteger(tokens) && tokens > 0 ? tokens : undefined
}

/** The longest answer, where a list tells it: OpenRouter's and Vercel's. */
function longestAnswerOf(row: Json): number | undefined {
  const text = numberText(objectAt(row, 'top_provider').max_completion_tokens) ?? numberText(row.max_tokens)
  const tokens = Number(text ?? 0)
  return Number.isSafeInteger(tokens) && tokens > 0 && tokens <= 10_000_000 ? tokens : undefined
}

/** Ids that can be a model's: printable, without spaces, not absurdly long. */
const idPattern = /^[\x21-\x7e]{1,256}$/

function toModel(row: unknown, idName: string, prices: ModelList['prices']): ListedModel[] {
  const named = isObject(row) ? row[idName] : undefined
  if (!isObject(row) || typeof named !== 'string') return []
  const id = idName === 'name' ? named.replace(/^models\//, '') : named
  if (!idPattern.test(id)) return []
  const [contextLength, maxOutputTokens] = [contextOf(row), longestAnswerOf(row)]
  const found = prices && priceReaders[prices](row)
  return [
    {
      id,
      ...(contextLength ? { contextLength } : {}),
      ...(maxOutputTokens ? { maxOutputTokens } : {}),
      ...(found ? { prices: found } : {}),
    },
  ]
}

/** Where each shape keeps its rows, and what a row calls its id. Together's list is the array itself. */
function rowsOf(shape: ModelList['shape'], reply: unknown): { rows: unknown; idName: string } {
  if (Array.isArray(reply)) return { rows: reply, idName: 'id' }
  const object = isObject(reply) ? reply : {}
  if (shape === 'google') return { rows: object.models, idName: 'name' }
  if (shape !== 'bedrock') return { rows: object.data, idName: 'id' }
  return object.inferenceProfileSummaries
    ? { rows: object.inferenceProfileSummaries, idName: 'inferenceProfileId' }
    : { rows: object.modelSummaries, idName: 'modelId' }
}

/** Reads a provider's list of models; null where it is none. Each id once. */
export function readModelList({ shape, prices }: ModelList, text: string): ListedModel[] | null {
  const { rows, idName } = rowsOf(shape, parseLossless(text))
  if (!Array.isArray(rows)) return null
  const models = new Map<string, ListedModel>()
  for (const model of rows.slice(0, mostModels).flatMap((row) => toModel(row, idName, prices)))
    if (!models.has(model.id)) models.set(model.id, model)
  return [...models.values()]
}
