/** A limit is chosen so that what is held covers the reply, and no call takes all that others could use. */
import { describe, expect, test } from 'vitest'
import { chooseOutputLimit, longestAnswer, type SpendRoom, smallestLimit } from './output-limit.ts'

/** 100 for the input, and one per token of output; the provider's bill is half of that. */
const mostAt = (limit: number) => ({ chargePico: 100n + BigInt(limit), costPico: 50n + BigInt(limit) / 2n })
const choose = (room: SpendRoom, longest = 64_000, smallest = 1_024) =>
  chooseOutputLimit({ longest, room, mostAt, smallest })
const credits = (creditsPico: bigint): SpendRoom => ({ creditsPico, budgets: [] })
const budgets = (...left: [bigint, boolean][]): SpendRoom => ({
  creditsPico: null,
  budgets: left.map(([leftPico, countsCost]) => ({ leftPico, countsCost })),
})

describe('the limit of a call that credits pay', () => {
  test.each([
    ['the longest answer where there is plenty', 1_000_000n, 64_000],
    ['a tenth of what there is', 100_000n, 9_900],
    ['4,096 tokens where a tenth is less than that', 10_000n, 4_096],
    ['all there is where that is less than 4,096 tokens', 3_100n, 3_000],
    ['the smallest where not even that fits: it is refused', 500n, 1_024],
    ['the smallest where there is nothing', 0n, 1_024],
  ])('is %s', (_name, room, limit) => {
    expect(choose(credits(room))).toBe(limit)
  })
  test('is never more than is held', () => {
    for (const room of [1_124n, 4_195n, 4_196n, 41_960n, 41_961n, 640_999n, 641_000n]) {
      const limit = choose(credits(room)) as number
      expect(mostAt(limit).chargePico).toBeLessThanOrEqual(room)
    }
  })
  test('is not cut below 4,096 tokens where the plan bills what goes beyond', () => {
    expect([smallestLimit(true, 0), smallestLimit(false, 0)]).toEqual([4_096, 1_024])
    expect(choose(credits(3_100n), 64_000, smallestLimit(true, 0))).toBe(4_096)
  })
  test('leaves room for the answer beside what the model may think', () => {
    expect([smallestLimit(true, 2_000), smallestLimit(true, 8_000), smallestLimit(false, 8_000)]).toEqual([
      4_096, 9_024, 9_024,
    ])
    expect(choose(credits(20_000n), 64_000, smallestLimit(false, 8_000))).toBeGreaterThan(8_000)
    // Refused: it would come to more than there is, and a smaller limit is one the provider refuses.
    expect(choose(credits(3_100n), 64_000, smallestLimit(false, 8_000))).toBe(9_024)
  })
  test('of a model with short answers is theirs', () => {
    expect(choose(credits(1_000_000n), 512)).toBe(512)
    expect(choose(credits(0n), 512)).toBe(512)
  })
})

describe('the limit of a call that budgets count', () => {
  test('fits into each of them, with the provider’s bill where that counts', () => {
    expect(choose(budgets([1_000_000n, false], [3_100n, false]))).toBe(3_000)
    expect(choose(budgets([3_100n, true]))).toBe(1_967)
  })
  test('is none where no budget counts the call, or nobody can tell what it costs', () => {
    expect(choose({ creditsPico: null, budgets: [] })).toBeNull()
    const unknown = () => ({ chargePico: 0n, costPico: 0n })
    expect(chooseOutputLimit({ longest: 10, room: budgets([5n, true]), mostAt: unknown, smallest: 1 })).toBeNull()
  })
})

describe('the longest answer', () => {
  const model = { maxOutputTokens: 64_000, contextLength: 200_000 }
  test('is the catalogue’s where the provider is the one that says so', () => {
    expect(longestAnswer(model, true, 1_000)).toBe(64_000)
    expect(longestAnswer(model, false, 1_000)).toBe(4_096)
    expect(longestAnswer({ ...model, maxOutputTokens: null }, true, 1_000)).toBe(4_096)
    expect(longestAnswer(null, true, 0)).toBe(4_096)
  })
  test('leaves room in the context for the input', () => {
    const long = { maxOutputTokens: 200_000, contextLength: 200_000 }
    expect(longestAnswer(long, true, 10_000)).toBe(200_000 - 20_000 - 1_024)
    expect(longestAnswer(long, true, 150_000)).toBe(1_024)
    const short = { maxOutputTokens: null, contextLength: 8_192 }
    expect(longestAnswer(short, false, 2_500)).toBe(8_192 - 5_000 - 1_024)
    expect(longestAnswer({ maxOutputTokens: 512, contextLength: 8_192 }, true, 8_000)).toBe(512)
  })
  test('leaves room for what providers put around the shortest of inputs, where an answer may fill the context', () => {
    expect(longestAnswer({ maxOutputTokens: 131_072, contextLength: 131_072 }, true, 2)).toBeLessThan(131_072 - 1_000)
  })
})
