/** Bytes of an event stream, and of a plain answer, per token of output: high on purpose. */
const streamBytesPerToken = 300n
const plainBytesPerToken = 6n

export interface EstimateInput {
  promptTokensEstimate: number
  relayedBytes: number
  streamed: boolean
}

/**
 * Tokens of a call that nobody could tell us anything about. It errs to the customer's favour, and is marked as an estimate
 * wherever it is shown (providers §3.4).
 */
export function estimateTokens({ promptTokensEstimate, relayedBytes, streamed }: EstimateInput) {
  const output = Number(BigInt(relayedBytes) / (streamed ? streamBytesPerToken : plainBytesPerToken))
  return { input: promptTokensEstimate, output, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
}
