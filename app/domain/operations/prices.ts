/** A model that calls went to although nobody knows its price. */
export interface UnpricedRow {
  provider: string
  model: string
  calls: string
  /** What its price does not hold, in words; empty: it has no price at all. */
  missing: string
  firstSeenAt: string
  lastSeenAt: string
}

/** A price of the operator's own. Exact decimal text, USD per token; null: as plain input. */
export interface OverrideRow {
  provider: string
  model: string
  inputUsd: string
  outputUsd: string
  cacheReadUsd: string | null
  cacheWriteUsd: string | null
  note: string
  updatedAt: string
}

export interface CatalogueAge {
  provider: string
  models: number
  fetchedAt: string
}

export interface PriceLists {
  unpriced: UnpricedRow[]
  overrides: OverrideRow[]
  catalogues: CatalogueAge[]
}
