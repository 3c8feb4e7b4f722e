import { type Atto, attoToPico, type Pico, parseAtto } from '#app/platform/pico.ts'

/** USD per token as exact decimal text, as a price list gives it. What a list does not price apart costs what plain input does. */
export interface TokenPrices {
  input: string
  output: string
  cacheRead?: string
  cacheWrite?: string
  /** What is kept for an hour instead of minutes; where a list does not price it apart, it costs what `cacheWrite` does. */
  cacheWriteHour?: string
  /** Per request, on top. */
  request?: string
  /** Tokens of audio and images that a list prices apart from text. */
  audioInput?: string
  audioOutput?: string
  imageInput?: string
  imageOutput?: string
  /** Per web search that the provider made itself. */
  search?: string
}

/** Prices that hold for some calls only: those above a size, or in a window of the UTC day (`HHMM`, half open, may wrap midnight). */
export interface ConditionalPrices {
  minPromptTokens?: number
  utcStart?: string
  utcEnd?: string
  prices: Partial<TokenPrices>
}

/** One model of a price list. Of the overrides that hold, later ones win. */
export interface ListedPrices extends TokenPrices {
  overrides?: ConditionalPrices[]
}

export type PriceSource = 'override' | 'provider_catalogue' | 'genai_prices'

/** The prices that made a raw cost, as they are stored with the call: enough to recompute it by hand. */
export interface PriceRow {
  source: PriceSource
  /** When, or in which version, the list said so. */
  asOf: string
  model: string
  usd: TokenPrices
  /** Units beside text tokens that the cost holds. */
  apart?: UnitsApart
}

/** Units that no price of text tokens holds; those of audio, images and video are tokens, part of input or output. */
export type UnitsApart = Readonly<
  Partial<
    Record<'audio_in' | 'audio_out' | 'image_in' | 'image_out' | 'video_in' | 'video_out' | 'search' | 'tool', number>
  >
>

export interface PricedTokens {
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
  /** Part of `cacheWrite`. */
  cacheWriteHour?: number
  apart?: UnitsApart
}

const minuteOf = (hhmm: string): number => Number(hhmm.slice(0, 2)) * 60 + Number(hhmm.slice(2, 4))

function inWindow(at: Date, from: string, to: string): boolean {
  const minute = at.getUTCHours() * 60 + at.getUTCMinutes()
  const [begin, end] = [minuteOf(from), minuteOf(to)]
  return begin <= end ? minute >= begin && minute < end : minute >= begin || minute < end
}

/** The prices that hold for a call of this size at this moment. A size condition holds strictly above it, for the whole call. */
export function pricesFor({ overrides = [], ...listed }: ListedPrices, inputTokens: number, at: Date): TokenPrices {
  let prices: TokenPrices = listed
  for (const { minPromptTokens, utcStart, utcEnd, prices: theirs } of overrides) {
    if (minPromptTokens !== undefined && inputTokens <= minPromptTokens) continue
    if (utcStart !== undefined && utcEnd !== undefined && !inWindow(at, utcStart, utcEnd)) continue
    prices = { ...prices, ...theirs }
  }
  return prices
}

/** What the units are called, for an operator who must find out what they cost. */
const unitNames: Record<keyof UnitsApart, string> = {
  audio_in: 'audio input',
  audio_out: 'audio output',
  image_in: 'image input',
  image_out: 'image output',
  video_in: 'video input',
  video_out: 'video output',
  search: 'web searches',
  tool: 'tools of the provider',
}

/** The price of a unit; an image that is read costs what plain input does where a list says nothing else. */
function unitPrice(usd: TokenPrices, unit: keyof UnitsApart): string | undefined {
  if (unit === 'audio_in') return usd.audioInput
  if (unit === 'audio_out') return usd.audioOutput
  if (unit === 'image_in') return usd.imageInput ?? usd.input
  if (unit === 'image_out') return usd.imageOutput
  return unit === 'search' ? usd.search : undefined
}

const unitsOf = (apart: UnitsApart): [keyof UnitsApart, number][] =>
  Object.entries(apart).filter(([, count]) => count > 0) as [keyof UnitsApart, number][]

/** What a call used that these prices do not hold, in words; empty where they hold all of it. */
export const unpricedUnits = (usd: TokenPrices, { apart = {} }: Pick<PricedTokens, 'apart'>): string[] =>
  unitsOf(apart).flatMap(([unit]) => (unitPrice(usd, unit) === undefined ? [unitNames[unit]] : []))

/** Units that are tokens, by what they are part of. */
const isInput = (unit: string): boolean => unit.endsWith('_in')
const isOutput = (unit: string): boolean => unit.endsWith('_out')

/**
 * What the tokens cost the holder of the key, exact, rounded once (half even). Counts are inclusive: cache is part of input,
 * and so are audio and images.
 * @returns null where the call used something that the prices do not hold: unknown is not zero
 */
export function rawCostOf(usd: TokenPrices, tokens: PricedTokens): Pico | null {
  if (unpricedUnits(usd, tokens).length) return null
  const units = unitsOf(tokens.apart ?? {})
  const sum = (which: (unit: string) => boolean) =>
    units.reduce((total, [unit, count]) => (which(unit) ? total + count : total), 0)
  const input = parseAtto(usd.input)
  const price = (text: string | undefined): Atto => (text === undefined ? input : parseAtto(text))
  const hour = tokens.cacheWriteHour ?? 0
  const plain = tokens.input - tokens.cacheRead - tokens.cacheWrite - sum(isInput)
  const text = tokens.output - sum(isOutput)
  // More units than tokens: some of them were cached, or the counts are not what they say. Nobody knows which price holds.
  if (plain < 0 || text < 0) return null
  const atto =
    BigInt(plain) * input +
    BigInt(tokens.cacheRead) * price(usd.cacheRead) +
    BigInt(tokens.cacheWrite - hour) * price(usd.cacheWrite) +
    BigInt(hour) * price(usd.cacheWriteHour ?? usd.cacheWrite) +
    BigInt(text) * parseAtto(usd.output) +
    units.reduce((total, [unit, count]) => total + BigInt(count) * price(unitPrice(usd, unit)), 0n) +
    (usd.request === undefined ? 0n : parseAtto(usd.request))
  return attoToPico(atto)
}
