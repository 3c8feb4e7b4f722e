import { expect, test } from 'vitest'
import { RequestPace } from './request-pace.ts'

test('a burst passes at once, then requests are spaced, and a 429 halves the pace', () => {
  const pace = new RequestPace(0)
  const waits = Array.from({ length: 12 }, () => pace.take(0))
  expect(waits.slice(0, 10).every((wait) => wait === 0)).toBe(true)
  expect(waits.slice(10)).toEqual([100, 200])
  pace.limited()
  expect(pace.take(0)).toBe(600)
})

test('idle time earns the burst back, and no more than that', () => {
  const pace = new RequestPace(0)
  for (let i = 0; i < 20; i++) pace.take(0)
  expect(pace.take(60_000)).toBe(0)
  expect(Array.from({ length: 10 }, () => pace.take(60_000)).at(-1)).toBe(100)
})
