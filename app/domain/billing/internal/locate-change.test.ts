import { describe, expect, test } from 'vitest'
import type { DayDigest } from './digests.server.ts'
import { suspicionsOf } from './locate-change.ts'

const digest = (sums: DayDigest['sums']): DayDigest => ({
  kind: 'calls',
  day: '2026-10-05',
  entries: '3',
  hash: '',
  sums,
})

/** Sums over (h, w1, w2) as the database makes them. */
const sumsOf = (calls: [h: bigint, w1: bigint, w2: bigint][]): [string, string, string] => [
  calls.reduce((sum, [h]) => sum + h, 0n).toString(),
  calls.reduce((sum, [h, w1]) => sum + h * w1, 0n).toString(),
  calls.reduce((sum, [h, , w2]) => sum + h * w2, 0n).toString(),
]

const calls: [bigint, bigint, bigint][] = [
  [999_111n, 17n, 1_048_575n],
  [5n, 600_000n, 3n],
  [1_099_511_627_775n, 0n, 77n],
]
const changed = (at: number[], by: bigint) =>
  sumsOf(calls.map(([h, a, b], index) => [at.includes(index) ? h + by + BigInt(index) : h, a, b]))

describe('which call of a day was changed', () => {
  test('one changed call is named by its id’s bits, in the column that changed and no other', () => {
    const was = digest({ charge_pico: sumsOf(calls), model: sumsOf(calls) })
    const is = digest({ charge_pico: changed([1], -3n), model: sumsOf(calls) })
    expect(suspicionsOf(was, is, was.day)).toEqual([
      { day: '2026-10-05', column: 'charge_pico', weights: [600_000n, 3n] },
    ])
  })

  test('several in one column are said to be several', () => {
    const suspicions = suspicionsOf(
      digest({ charge_pico: sumsOf(calls) }),
      digest({ charge_pico: changed([0, 1], 11n) }),
      'd',
    )
    expect(suspicions).toEqual([{ day: 'd', column: 'charge_pico', weights: null }])
  })

  test('a call that was taken away is named too, by what is missing', () => {
    const without = sumsOf(calls.slice(1))
    const [one] = suspicionsOf(digest({ charge_pico: sumsOf(calls) }), digest({ charge_pico: without }), 'd')
    expect(one?.weights).toEqual([17n, 1_048_575n])
  })
})
