/** Which call of a day was changed, told by the sums that were kept of it. Pure; see digests.server.ts for the sums. */
import type { DayDigest, DaySums } from './digests.server.ts'

export interface Suspicion {
  day: string
  /** The watched column that differs. */
  column: string
  /** 20 bits each of the changed call's id; null where several calls of the day were changed in this column. */
  weights: [bigint, bigint] | null
}

const WEIGHTS = 1n << 20n

function weightsOf(before: [string, string, string], after: [string, string, string]): Suspicion['weights'] {
  const [d, first, second] = [0, 1, 2].map((at) => BigInt(after[at] ?? 0) - BigInt(before[at] ?? 0)) as [
    bigint,
    bigint,
    bigint,
  ]
  if (d === 0n || first % d !== 0n || second % d !== 0n) return null
  const weights: [bigint, bigint] = [first / d, second / d]
  return weights.every((weight) => weight >= 0n && weight < WEIGHTS) ? weights : null
}

/** Compares a day's sums column by column. Empty where no watched column differs. */
export function suspicionsOf(before: DayDigest | undefined, after: DayDigest | undefined, day: string): Suspicion[] {
  const none: DaySums = {}
  const [was, is] = [before?.sums ?? none, after?.sums ?? none]
  const zero: [string, string, string] = ['0', '0', '0']
  return [...new Set([...Object.keys(was), ...Object.keys(is)])].flatMap((column) => {
    const [old, now] = [was[column] ?? zero, is[column] ?? zero]
    return old.join() === now.join() ? [] : [{ day, column, weights: weightsOf(old, now) }]
  })
}
