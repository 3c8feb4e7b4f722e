import { expect, test } from 'vitest'
import { priceTokens } from './pricing.ts'
import { toPriceBooks } from './queries.server.ts'

test('the largest band that a call is above prices it, in whatever order the bands were written', () => {
  const band = (aboveInputTokens: number, inputUsd: string) => ({ aboveInputTokens, inputUsd, outputUsd: '0' })
  const book = { version: 1, workspace_id: null, currency: 'usd', effective_from: new Date(0), effective_until: null }
  const rates = { input_usd: '0.000001', output_usd: '0', cache_read_usd: null, cache_write_usd: null }
  const bands = [band(500, '0.000003'), band(100, '0.000002'), band(2_000, '0.000004')]
  const [read] = toPriceBooks([book], [{ ...rates, price_book_version: 1, tier: 'balanced', bands }], [])
  const price = read?.tiers.balanced
  if (!price) throw new Error('no price')
  const perToken = (inputTokens: bigint) => priceTokens(price, { inputTokens, outputTokens: 0n }) / inputTokens
  expect([100n, 101n, 501n, 2_001n].map(perToken)).toEqual([1_000_000n, 2_000_000n, 3_000_000n, 4_000_000n])
})
