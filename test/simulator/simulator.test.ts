import { expect, test } from 'vitest'
import { simulate } from './simulate.ts'

/** Seeds that once broke something. Each stays, with what it found. */
const found: readonly number[] = []

test('10,000 simulated installations keep every guarantee, whatever is killed, lost, repeated or meddled with', async () => {
  const failed: string[] = []
  const sums = { calls: 0, runs: 0, requests: 0 }
  for (const seed of [...found, ...Array.from({ length: 10_000 }, (_, index) => index + 1)]) {
    try {
      const played = await simulate(seed)
      sums.calls += played.calls
      sums.runs += played.runs
      sums.requests += played.requests
    } catch (error) {
      failed.push(`seed ${seed}: ${(error as Error).message}`)
    }
  }
  expect(failed).toEqual([])
  // That it played at all: calls that were billed, and invoices that were written.
  expect(sums.calls).toBeGreaterThan(100_000)
  expect(sums.runs).toBeGreaterThan(30_000)
  expect(sums.requests).toBeGreaterThan(100_000)
})

test('a seed plays the same run every time', async () => {
  expect(await simulate(4711)).toEqual(await simulate(4711))
})
