import { describe, expect, test } from 'vitest'
import { readModelList } from './model-lists.ts'

const pricesIn = (prices: 'crof' | 'akash', pricing: object) => {
  const list = { at: { base: null, path: '/models' }, shape: 'openai', public: true, prices } as const
  return readModelList(list, JSON.stringify({ data: [{ id: 'm', pricing }] }))?.[0]?.prices
}

describe('a list that does not say whether its prices are per token or per million', () => {
  test.each([
    ['0.0000025', '0.0000025'],
    ['0.0005', '0.0005'],
    ['2.50', '0.0000025'],
    ['0.01', '0.00000001'],
    ['0.008', '0.000000008'],
    ['0.001', '0.000000001'],
    ['0', '0'],
  ])('%s is %s USD per token: no token costs a tenth of a cent', (written, perToken) => {
    expect(pricesIn('crof', { prompt: written, completion: written })).toEqual({ input: perToken, output: perToken })
    expect(pricesIn('akash', { input: written, output: written })).toEqual({ input: perToken, output: perToken })
  })
  test('a negative price is that of whatever a router chooses: unknown', () => {
    expect(pricesIn('crof', { prompt: '-1', completion: '-1' })).toBe(undefined)
  })
})
