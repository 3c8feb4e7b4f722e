import type { Measured } from './load.ts'

export const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

const width = 11

/** Prints one table: a row per name, figures rounded to what was measured. NaN shows as a dash. */
export function printTable(title: string, heads: string[], rows: [string, number[]][]): void {
  console.log(`\n${title}`)
  console.log(`  ${''.padEnd(12)}${heads.map((head) => head.padStart(width)).join('')}`)
  for (const [name, figures] of rows)
    console.log(`  ${name.padEnd(12)}${figures.map((figure) => show(figure).padStart(width)).join('')}`)
}

function show(figure: number): string {
  if (!Number.isFinite(figure)) return '-'
  if (Number.isInteger(figure) || Math.abs(figure) >= 1_000) return figure.toFixed(0)
  return figure.toFixed(Math.abs(figure) >= 100 ? 1 : Math.abs(figure) >= 10 ? 2 : 3)
}

/** Median of a figure over rounds. */
export const over = (rounds: Measured[], figure: (round: Measured) => number): number => median(rounds.map(figure))

/** Median over the rounds of the ratio of a figure to the same round of another target. */
export const ratio = (own: Measured[], other: Measured[], figure: (round: Measured) => number): number =>
  median(
    own.map((round, index) => {
      const reference = other[index]
      return reference ? figure(round) / figure(reference) : Number.NaN
    }),
  )

/** Median over the rounds of the difference of a figure to the same round of another target. */
export const added = (own: Measured[], other: Measured[], figure: (round: Measured) => number): number =>
  median(
    own.map((round, index) => {
      const reference = other[index]
      return reference ? figure(round) - figure(reference) : Number.NaN
    }),
  )

/** Says what the errors were, if there were any: a benchmark with errors measured something else. */
export function printFaults(name: string, rounds: Measured[]): void {
  for (const { faults } of rounds)
    for (const [status, count] of faults) console.log(`  ! ${name}: ${count} × status ${status || 'broken off'}`)
}
