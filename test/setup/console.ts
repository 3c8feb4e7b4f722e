import { afterEach, beforeEach, expect, vi } from 'vitest'

/** A stray console.error or warning fails the test that caused it: what nobody reads in a test nobody reads in production. */
let stray: string[] = []

beforeEach(() => {
  stray = []
  for (const level of ['error', 'warn'] as const) {
    vi.spyOn(console, level).mockImplementation((...parts: unknown[]) => {
      stray.push(`${level}: ${parts.map(String).join(' ')}`)
    })
  }
})

afterEach(() => {
  expect(stray, 'unexpected console output').toEqual([])
})
