import { type PriceBook, type PriceBookQuestion, priceBookAt, type Tier, tiers } from './pricing.ts'

/** How one price of a book stands at an instant. */
export interface PriceStanding {
  /** A tier, or the id of a meter. */
  of: { tier: Tier } | { meter: string }
  /** The version that prices it then for those whom the book is for: this book, or the one that holds in its place. */
  version: number
  /** When that ends: by its own end, or because another version begins; null: not known to end. */
  until: Date | null
}

/** Whether a book names what is asked for, and is for those who ask. */
function answers(book: PriceBook, { workspaceId, currency, tier, meter }: PriceBookQuestion): boolean {
  const named = tier === undefined || book.tiers[tier] !== undefined
  const metered = meter === undefined || Object.hasOwn(book.meters, meter)
  const whom = book.workspaceId === null || book.workspaceId === workspaceId
  return book.currency === currency && named && metered && whom
}

/**
 * Of each price that a book holds: which version prices it at the instant, and until when. A book's own prices may be priced by
 * another version since, or by this one beside others: a book replaces only what it names (`priceBookAt`).
 */
export function standingOf(book: PriceBook, books: readonly PriceBook[], at: Date): PriceStanding[] {
  const { workspaceId, currency, meters } = book
  const whom = { currency, ...(workspaceId === null ? {} : { workspaceId }) }
  const named = [
    ...tiers.filter((tier) => book.tiers[tier] !== undefined).map((tier) => ({ tier })),
    ...Object.keys(meters).map((meter) => ({ meter })),
  ]
  return named.map((of) => {
    const question = { ...whom, ...of }
    const now = priceBookAt(books, at, question)
    const turns = books
      .filter((one) => answers(one, question))
      .flatMap((one) => [one.effectiveFrom, one.effectiveUntil ?? one.effectiveFrom])
      .filter((turn) => turn > at)
      .sort((a, b) => a.getTime() - b.getTime())
    const until = turns.find((turn) => priceBookAt(books, turn, question)?.version !== now?.version)
    return { of, version: now?.version ?? 0, until: until ?? null }
  })
}
