import { describe, expect, test } from 'vitest'
import { markReached, percentOf, readLimit, windowEnd, windowStart } from './budgets.ts'

describe('percent of a limit', () => {
  test.each([
    [0n, 100n, 0],
    [49n, 100n, 49],
    [999n, 1000n, 99],
    [1000n, 1000n, 100],
    [2500n, 1000n, 250],
    [0n, 0n, 0],
    [1n, 0n, 100],
  ])('%s of %s is %i', (spent, limit, percent) => {
    expect(percentOf(spent, limit)).toBe(percent)
  })
  test('marks are reached, never rounded up to', () => {
    expect([0, 49, 50, 79, 80, 99, 100, 250].map(markReached)).toEqual([0, 0, 50, 50, 80, 80, 100, 100])
  })
})

test.each([
  ['25', '25'],
  [' $12.50 ', '12.5'],
  ['0', '0'],
  ['1000000', '1000000'],
  ['1000001', null],
  ['-1', null],
  ['1e3', null],
  ['', null],
  ['0.0000000000001', null],
])('a typed limit of %j is %j', (typed, usd) => {
  expect(readLimit(typed)).toBe(usd)
})

describe('windows', () => {
  test.each([
    ['day', '2028-02-29T23:59:59.999Z', '2028-02-29', '2028-03-01'],
    ['day', '2028-03-01T00:00:00.000Z', '2028-03-01', '2028-03-02'],
    ['week', '2026-11-22T23:59:59.999Z', '2026-11-16', '2026-11-23'],
    ['week', '2026-11-23T00:00:00.000Z', '2026-11-23', '2026-11-30'],
    ['week', '2027-01-01T12:00:00.000Z', '2026-12-28', '2027-01-04'],
    ['month', '2028-02-29T23:59:59.999Z', '2028-02-01', '2028-03-01'],
    ['month', '2026-12-31T23:59:59.999Z', '2026-12-01', '2027-01-01'],
  ] as const)('%s of %s runs from %s to before %s', (period, at, start, end) => {
    expect(windowStart(period, new Date(at))).toBe(start)
    expect(windowEnd(period, start)).toBe(end)
  })
})
