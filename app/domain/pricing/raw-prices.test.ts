import { describe, expect, test } from 'vitest'
import { pricesFor, rawCostOf, unpricedUnits } from './raw-prices.ts'

const tokens = { input: 1000, output: 100, cacheRead: 0, cacheWrite: 0 }

describe('a raw cost from a price list', () => {
  test('is exact to the pico-dollar', () => {
    expect(rawCostOf({ input: '0.00000025', output: '0.000002' }, tokens)).toBe(450_000_000n)
    expect(rawCostOf({ input: '0.000000000000000001', output: '0' }, tokens)).toBe(0n)
  })
  test('prices cache reads and writes apart, and as plain input where the list does not', () => {
    const cached = { ...tokens, cacheRead: 600, cacheWrite: 200 }
    expect(
      rawCostOf({ input: '0.000001', output: '0', cacheRead: '0.0000001', cacheWrite: '0.00000125' }, cached),
    ).toBe(200_000_000n + 60_000_000n + 250_000_000n)
    expect(rawCostOf({ input: '0.000001', output: '0' }, cached)).toBe(1_000_000_000n)
  })
  test('what is kept in the cache for an hour costs its own price, and that of a write where there is none', () => {
    const cached = { input: 1000, output: 0, cacheRead: 0, cacheWrite: 1000, cacheWriteHour: 400 }
    const usd = { input: '0.000003', output: '0', cacheWrite: '0.00000375' }
    expect(rawCostOf({ ...usd, cacheWriteHour: '0.000006' }, cached)).toBe(2_250_000_000n + 2_400_000_000n)
    expect(rawCostOf(usd, cached)).toBe(3_750_000_000n)
  })
  test('adds what is charged per request', () => {
    expect(rawCostOf({ input: '0', output: '0', request: '0.005' }, tokens)).toBe(5_000_000_000n)
  })
})

describe('what was used beside text', () => {
  const usd = { input: '0.000001', output: '0.000002' }
  const used = (apart: object) => ({ ...tokens, apart })
  test.each([
    [{ audio_in: 10 }, 'audio input'],
    [{ audio_out: 10 }, 'audio output'],
    [{ image_out: 10 }, 'image output'],
    [{ video_in: 10 }, 'video input'],
    [{ search: 1 }, 'web searches'],
    [{ tool: 1 }, 'tools of the provider'],
  ])('%j has no known cost where the prices do not hold it', (apart, name) => {
    expect(rawCostOf(usd, used(apart))).toBeNull()
    expect(unpricedUnits(usd, used(apart))).toEqual([name])
  })
  test('costs its own price where there is one, and is taken out of the text', () => {
    const all = { ...usd, audioInput: '0.00001', audioOutput: '0.00002', imageOutput: '0.00003', search: '0.01' }
    expect(rawCostOf(all, used({ audio_in: 400, audio_out: 20, image_out: 30, search: 2 }))).toBe(
      600n * 1_000_000n +
        400n * 10_000_000n +
        50n * 2_000_000n +
        20n * 20_000_000n +
        30n * 30_000_000n +
        20_000_000_000n,
    )
    expect(unpricedUnits(all, used({ search: 1 }))).toEqual([])
  })
  test('an image that is read costs what input does', () => {
    expect(rawCostOf(usd, used({ image_in: 300 }))).toBe(rawCostOf(usd, tokens))
    expect(rawCostOf({ ...usd, imageInput: '0.000003' }, used({ image_in: 300 }))).toBe(1_800_000_000n)
  })
  test('audio that was read from the cache is not known apart from text that was', () => {
    const cached = { ...tokens, cacheRead: 900, apart: { audio_in: 400 } }
    expect(rawCostOf({ ...usd, audioInput: '0.00001' }, cached)).toBeNull()
  })
})

describe('conditional prices', () => {
  const base = { input: '1', output: '2' }
  const at = (time: string) => new Date(`2026-11-21T${time}Z`)
  test('a size band holds strictly above its bound, for the whole call', () => {
    const listed = { ...base, overrides: [{ minPromptTokens: 200_000, prices: { input: '3' } }] }
    expect(pricesFor(listed, 200_000, at('12:00')).input).toBe('1')
    expect(pricesFor(listed, 200_001, at('12:00'))).toEqual({ input: '3', output: '2' })
  })
  test('a window of the day is half open and may wrap midnight', () => {
    const listed = { ...base, overrides: [{ utcStart: '1630', utcEnd: '0030', prices: { output: '1' } }] }
    expect(['16:29', '16:30', '23:59', '00:29', '00:30'].map((time) => pricesFor(listed, 1, at(time)).output)).toEqual([
      '2',
      '1',
      '1',
      '1',
      '2',
    ])
  })
  test('a later condition wins', () => {
    const overrides = [
      { minPromptTokens: 10, prices: { input: '3' } },
      { minPromptTokens: 100, prices: { input: '4' } },
    ]
    expect(pricesFor({ ...base, overrides }, 1000, at('12:00')).input).toBe('4')
  })
})
