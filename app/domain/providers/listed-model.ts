/** Exact decimal texts, USD per token; `request`: USD per call. What is missing is unknown, not free. */
export interface ModelPrices {
  input: string
  output: string
  cacheRead?: string
  cacheWrite?: string
  request?: string
  /** Prices under conditions; of those that hold, later ones win member by member. */
  overrides?: PriceOverride[]
}

export interface PriceOverride {
  /** Holds for prompts of more tokens than this. */
  minPromptTokens?: number
  /** Holds in this half-open window of the UTC day, `HHMM`; it may wrap midnight. */
  utcStart?: string
  utcEnd?: string
  prices: Partial<Omit<ModelPrices, 'overrides'>>
}

export interface ListedModel {
  id: string
  /** Tokens. */
  contextLength?: number
  /** Of one answer, in tokens. */
  maxOutputTokens?: number
  prices?: ModelPrices
}
