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
}

export interface PricedTokens {
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
  /** Part of `cacheWrite`. */
  cacheWriteHour?: number
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

/** What the tokens cost the holder of the key, exact, rounded once (half even). Counts are inclusive: cache is part of input. */
export function rawCostOf(usd: TokenPrices, tokens: PricedTokens): Pico {
  const input = parseAtto(usd.input)
  const price = (text: string | undefined): Atto => (text === undefined ? input : parseAtto(text))
  const hour = tokens.cacheWriteHour ?? 0
  const plain = BigInt(tokens.input - tokens.cacheRead - tokens.cacheWrite)
  const atto =
    plain * input +
    BigInt(tokens.cacheRead) * price(usd.cacheRead) +
    BigInt(tokens.cacheWrite - hour) * price(usd.cacheWrite) +
    BigInt(hour) * price(usd.cacheWriteHour ?? usd.cacheWrite) +
    BigInt(tokens.output) * parseAtto(usd.output) +
    (usd.request === undefined ? 0n : parseAtto(usd.request))
  return attoToPico(atto)
}
