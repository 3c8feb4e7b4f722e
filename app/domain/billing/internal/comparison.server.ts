import { inSystem } from '#app/platform/db.server.ts'
import { type Difference, openReferences, recordDifference, resolveDifference } from './differences.server.ts'

/** What one look at two books came to. */
export interface Comparison extends Omit<Difference, 'kind' | 'at'> {
  equal: boolean
}

/** One kind of comparison. It is told what is open, and looks at that again beside what is due. */
export interface Books {
  kind: string
  compare: (open: string[]) => AsyncIterable<Comparison>
  /** What is open and not looked at any more has nothing left to differ from. False: it could not be looked at, and stays. */
  complete: boolean
}

export interface ReconcileResult {
  compared: number
  different: number
}

/** Compares, and keeps the list of differences by it: those that stand, those that agree again, those with nothing left to compare. */
export async function keepDifferences({ kind, compare, complete }: Books, now: Date): Promise<ReconcileResult> {
  const open = new Set(await inSystem((tx) => openReferences(tx, kind)))
  const result = { compared: 0, different: 0 }
  const left = new Set(open)
  for await (const { equal, ...difference } of compare([...open])) {
    const { reference } = difference
    result.compared += 1
    left.delete(reference)
    // Thousands agree every night: only what was open has to be closed.
    if (equal && open.has(reference)) await inSystem((tx) => resolveDifference(tx, kind, reference, now))
    if (!equal && (await inSystem((tx) => recordDifference(tx, { ...difference, kind, at: now }))))
      result.different += 1
  }
  if (complete)
    for (const reference of left)
      await inSystem((tx) => resolveDifference(tx, kind, reference, now, 'nothing is left to compare'))
  return result
}
