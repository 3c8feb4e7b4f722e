import { type Atto, attoToPico, type Pico } from '#app/platform/pico.ts'

/** Published flat prices per token, independent of the model. */
export const tiers = ['frontier', 'balanced', 'cost_effective'] as const
export type Tier = (typeof tiers)[number]

export const tierNames: Record<Tier, string> = {
  frontier: 'Frontier',
  balanced: 'Balanced',
  cost_effective: 'Cost-effective',
}

export const isTier = (text: string): text is Tier => (tiers as readonly string[]).includes(text)

export interface TierPrice {
  /** Atto-dollars per token. */
  inputAtto: Atto
  outputAtto: Atto
}

/** One version of the price book. A call is rated by the version in force at its dispatch. */
export interface PriceBook {
  version: number
  effectiveFrom: Date
  tiers: Partial<Record<Tier, TierPrice>>
}

/** Token counts in OpenTelemetry's inclusive sense: input holds cache reads and writes, output holds reasoning. */
export interface TokenCounts {
  inputTokens: bigint
  outputTokens: bigint
}

/** The newest version in force at the instant. @returns undefined where none is */
export function priceBookAt(books: readonly PriceBook[], instant: Date): PriceBook | undefined {
  return books
    .filter((book) => book.effectiveFrom <= instant)
    .sort((a, b) => b.effectiveFrom.getTime() - a.effectiveFrom.getTime())[0]
}

/** Σ tokens × price, exact, rounded once per call to whole pico-dollars (half even). */
export function priceTokens(price: TierPrice, tokens: TokenCounts): Pico {
  return attoToPico(tokens.inputTokens * price.inputAtto + tokens.outputTokens * price.outputAtto)
}

/** A call's tier price. @throws Error where the price book has no price for the tier: never bill as if it cost nothing */
export function tierPricePico(book: PriceBook, tier: Tier, tokens: TokenCounts): Pico {
  const price = book.tiers[tier]
  if (!price) throw new Error(`price book ${book.version} has no price for tier ${tier}`)
  return priceTokens(price, tokens)
}

export interface ChargeInput {
  chargeMode: 'tier' | 'tier_margin' | 'pass_through'
  /** null: no tier holds the model. */
  tierPricePico: Pico | null
  /** null: unknown, which is not zero. */
  rawCostPico: Pico | null
}

/**
 * What the customer owes for one call. The 0 floor is per call: a loss-making call never eats another's margin.
 * @returns null where the cost that a margin needs is unknown: the call is held, not guessed (design §4)
 */
export function chargePico({ chargeMode, tierPricePico, rawCostPico }: ChargeInput): Pico | null {
  if (chargeMode === 'pass_through') return 0n
  if (chargeMode === 'tier') return tierPricePico
  if (rawCostPico === null || tierPricePico === null) return null
  return tierPricePico > rawCostPico ? tierPricePico - rawCostPico : 0n
}
