import { expect, test } from 'vitest'
import type { PriceBook } from '#app/domain/pricing/pricing.ts'
import { readInferenceRequest } from './inference-request.ts'
import { mostOfCall, thinkingTokens } from './most-of-call.ts'

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

test.each([
  [{}, 0],
  [{ reasoning: { max_tokens: 8_000 } }, 8_000],
  [{ reasoning: { effort: 'high' } }, 1_024],
  [{ reasoning_effort: 'low' }, 1_024],
  [{ reasoning: { max_tokens: 500 } }, 1_024],
  [{ thinking: { type: 'enabled', budget_tokens: 6_000 } }, 6_000],
  [{ reasoning: 'max_tokens' }, 1_024],
] as const)('what a chat may think is read from %j', (more, tokens) => {
  const body = Buffer.from(
    JSON.stringify({ model: 'a/b', messages: [{ role: 'user', content: 'x' }], ...more }, null, 1),
  )
  expect(thinkingTokens(readInferenceRequest('chat', body))).toBe(tokens)
})
