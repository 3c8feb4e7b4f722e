import { expect, test } from 'vitest'
import type { PriceBook } from '#app/domain/pricing/pricing.ts'
import { readInferenceRequest } from './inference-request.ts'
import { mostOfCall } from './most-of-call.ts'

const book: PriceBook = {
  ...{ version: 1, workspaceId: null, currency: 'usd', effectiveFrom: new Date(0), effectiveUntil: null, meters: {} },
  tiers: { balanced: { inputAtto: 0n, outputAtto: 1_000_000n } },
}
const dispatch = { chargeMode: 'credits', markupBp: null, tier: 'balanced' } as const

/** Output tokens that are set aside, at a price of one pico-dollar each. */
function setAside(endpoint: 'chat' | 'responses' | 'embeddings', limits: Record<string, number>): bigint {
  const input = endpoint === 'chat' ? { messages: [{ role: 'user', content: 'x' }] } : { input: 'x' }
  const request = readInferenceRequest(endpoint, Buffer.from(JSON.stringify({ model: 'a/b', ...input, ...limits })))
  return mostOfCall({ dispatch, request, book, list: null }).chargePico
}

test.each([
  ['chat', {}, 4_096n],
  ['chat', { max_tokens: 10 }, 10n],
  ['chat', { max_completion_tokens: 1, max_tokens: 9_000 }, 9_000n],
  ['chat', { max_completion_tokens: 9_000, max_tokens: 1 }, 9_000n],
  ['chat', { max_output_tokens: 1 }, 4_096n],
  ['chat', { max_tokens: 10, n: 8 }, 80n],
  ['responses', { max_output_tokens: 7, max_tokens: 1 }, 7n],
  ['responses', { max_tokens: 1 }, 4_096n],
  ['embeddings', { max_tokens: 9 }, 0n],
] as const)(
  'a call is set aside for with all the output that its provider may give: %s %j',
  (endpoint, limits, most) => {
    expect(setAside(endpoint, limits)).toBe(most)
  },
)
