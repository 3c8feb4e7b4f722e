import { type Atto, attoToPico, divideHalfEven, type Pico } from '#app/platform/pico.ts'

/** Published flat prices per token, independent of the model. */
export const tiers = ['frontier', 'balanced', 'cost_effective'] as const
export type Tier = (typeof tiers)[number]

export const tierNames: Record<Tier, string> = {
  frontier: 'Frontier',
  balanced: 'Balanced',
  cost_effective: 'Cost-effective',
}

export const isTier = (text: string): text is Tier => (tiers as readonly string[]).includes(text)

/** Atto-dollars per token. A cache class without a price of its own costs what plain input does. */
export interface TokenRates {
  inputAtto: Atto
  outputAtto: Atto
  cacheReadAtto?: Atto
  cacheWriteAtto?: Atto
}

export interface TierPrice extends TokenRates {
  /** Prices of larger calls, smallest first: the last that holds wins, for the whole call. */
  bands?: (TokenRates & { aboveInputTokens: bigint })[]
}

/** What a unit of usage that is no call costs. */
export interface MeterPrice {
  name: string
  unit: string
  unitAtto: Atto
}

/** One published version of the price book. A call is rated by the version in force at its dispatch. */
export interface PriceBook {
  version: number
  /** For this workspace alone; null: for all. */
  workspaceId: string | null
  currency: string
  effectiveFrom: Date
  effectiveUntil: Date | null
  tiers: Partial<Record<Tier, TierPrice>>
  meters: Record<string, MeterPrice>
}

/** Token counts in OpenTelemetry's inclusive sense: input holds cache reads and writes, output holds reasoning. */
export interface TokenCounts {
  inputTokens: bigint
  outputTokens: bigint
  cacheReadTokens?: bigint | null
  cacheWriteTokens?: bigint | null
}

/** For whom, and for what, a price is asked. */
export interface PriceBookQuestion {
  workspaceId?: string
  /** Default `usd`. */
  currency?: string
  /** Books that do not price this are passed over. */
  tier?: Tier
  meter?: string
}

/**
 * The version in force at the instant: the newest of the workspace's own that prices what is asked for, else the newest of
 * the general ones that does. A book replaces only what it names: a tier or meter that it leaves out stays at the price of the
 * book before it. Where nothing prices it, the newest general one, which says so by leaving it out.
 * @returns undefined where no book is in force
 */
export function priceBookAt(
  books: readonly PriceBook[],
  instant: Date,
  { workspaceId, currency = 'usd', tier, meter }: PriceBookQuestion = {},
): PriceBook | undefined {
  const inForce = books
    .filter((book) => book.currency === currency && book.effectiveFrom <= instant)
    .filter((book) => book.effectiveUntil === null || instant < book.effectiveUntil)
    .sort((a, b) => b.effectiveFrom.getTime() - a.effectiveFrom.getTime())
  const pricing = inForce.filter(
    (book) =>
      (tier === undefined || book.tiers[tier] !== undefined) &&
      (meter === undefined || Object.hasOwn(book.meters, meter)),
  )
  const own = pricing.find((book) => workspaceId !== undefined && book.workspaceId === workspaceId)
  const isGeneral = (book: PriceBook) => book.workspaceId === null
  return own ?? pricing.find(isGeneral) ?? inForce.find(isGeneral)
}

/** The rates that hold for a call of this size: a band holds strictly above its number of input tokens. */
export function ratesFor(price: TierPrice, inputTokens: bigint): TokenRates {
  return (price.bands ?? []).reduce<TokenRates>(
    (now, band) => (inputTokens > band.aboveInputTokens ? band : now),
    price,
  )
}

/**
 * Σ tokens × price, exact, rounded once per call to whole pico-dollars (half even). Counts of cache that exceed the input
 * cannot be true and are priced as plain input.
 */
export function priceTokens(price: TierPrice, tokens: TokenCounts): Pico {
  const rates = ratesFor(price, tokens.inputTokens)
  const [read, write] = [tokens.cacheReadTokens ?? 0n, tokens.cacheWriteTokens ?? 0n]
  const classes = read + write <= tokens.inputTokens ? { read, write } : { read: 0n, write: 0n }
  return attoToPico(
    (tokens.inputTokens - classes.read - classes.write) * rates.inputAtto +
      classes.read * (rates.cacheReadAtto ?? rates.inputAtto) +
      classes.write * (rates.cacheWriteAtto ?? rates.inputAtto) +
      tokens.outputTokens * rates.outputAtto,
  )
}

/** A call's tier price. @throws Error where the price book has no price for the tier: never bill as if it cost nothing */
export function tierPricePico(book: PriceBook, tier: Tier, tokens: TokenCounts): Pico {
  const price = book.tiers[tier]
  if (!price) throw new Error(`price book ${book.version} has no price for tier ${tier}`)
  return priceTokens(price, tokens)
}

export interface ChargeInput {
  chargeMode: 'tier' | 'tier_margin' | 'markup' | 'flat_fee' | 'credits' | 'pass_through'
  /** null: no tier holds the model. */
  tierPricePico: Pico | null
  /** null: unknown, which is not zero. */
  rawCostPico: Pico | null
  /** What a markup is taken of, and how much of it; null in the other modes. */
  basisPico?: Pico | null
  markupBp?: number | null
}

/** Basis points in the whole. */
const wholeBp = 10_000n

/** A share of an amount in basis points, rounded once to whole pico-dollars (half even). */
export const shareOf = (amount: Pico, basisPoints: number): Pico =>
  divideHalfEven(amount * BigInt(basisPoints), wholeBp)

/**
 * What goes onto the customer's invoice for one call. The 0 floor is per call: a loss-making call never eats another's margin.
 * @returns null where the cost that a margin needs is unknown: the call is held, not guessed (design §4)
 */
export function chargePico({ chargeMode, tierPricePico, rawCostPico, ...share }: ChargeInput): Pico | null {
  if (chargeMode === 'pass_through' || chargeMode === 'flat_fee' || chargeMode === 'credits') return 0n
  if (chargeMode === 'tier') return tierPricePico
  if (rawCostPico === null) return null
  if (chargeMode === 'markup') {
    const { basisPico = null, markupBp = null } = share
    return basisPico === null || markupBp === null ? null : shareOf(basisPico, markupBp)
  }
  if (tierPricePico === null) return null
  return tierPricePico > rawCostPico ? tierPricePico - rawCostPico : 0n
}

/** What a call draws from the workspace's credits. */
export const creditPico = ({ chargeMode, tierPricePico }: Pick<ChargeInput, 'chargeMode' | 'tierPricePico'>): Pico =>
  chargeMode === 'credits' ? (tierPricePico ?? 0n) : 0n
