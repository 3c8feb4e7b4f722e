/** What a call or a quantity comes to under another price book: for previews of a draft, and for re-rate runs. Pure. */
import { divideHalfEven, type Pico } from '#app/platform/pico.ts'
import { type ChargeInput, chargePico, creditPico, isTier, type PriceBook, tierPricePico } from './pricing.ts'

/** A settled call, as far as its price goes. */
export interface PricedCall {
  tier: string
  chargeMode: string
  inputTokens: bigint | null
  outputTokens: bigint | null
  cacheReadTokens: bigint | null
  cacheWriteTokens: bigint | null
  rawCostPico: Pico | null
}

export interface NewRating {
  tierPricePico: Pico
  /** null: its cost is unknown, so that no margin can be told. */
  chargePico: Pico | null
  creditPico: Pico
}

/** Modes that a price book has a say in; the others are charged by cost, or not per call. */
const bookModes = new Set(['tier', 'tier_margin', 'credits'])

/** @returns null where the book has nothing to say about the call */
export function rateAgain(book: PriceBook, call: PricedCall): NewRating | null {
  const { tier, chargeMode, cacheReadTokens, cacheWriteTokens, rawCostPico } = call
  if (!bookModes.has(chargeMode) || !isTier(tier) || !book.tiers[tier]) return null
  const tokens = { inputTokens: call.inputTokens ?? 0n, outputTokens: call.outputTokens ?? 0n }
  const price = tierPricePico(book, tier, { ...tokens, cacheReadTokens, cacheWriteTokens })
  const input: ChargeInput = { chargeMode: chargeMode as ChargeInput['chargeMode'], tierPricePico: price, rawCostPico }
  return { tierPricePico: price, chargePico: chargePico(input), creditPico: creditPico(input) }
}

/** Quantity (1e-9 units) × price (1e-18 per unit), exact, rounded once to whole pico (half even). */
export const meterAmountPico = (unitAtto: bigint, quantityNano: bigint): Pico =>
  divideHalfEven(unitAtto * quantityNano, 10n ** 15n)

interface BookOwner {
  workspaceId: string | null
  currency: string
}

/**
 * Whether a new book would price what another priced: the same currency, and a workspace's own prices stay before the general
 * ones.
 */
export const replaces = (draft: BookOwner, priced: BookOwner, workspaceId: string): boolean =>
  draft.currency === priced.currency &&
  (draft.workspaceId === null ? priced.workspaceId === null : draft.workspaceId === workspaceId)
