import { describe, expect, it, vi } from 'vitest'
import { LaterWrite } from './later-write.ts'

describe('a write that waits for more', () => {
  it('runs once for a burst, and again for what comes later', async () => {
    vi.useFakeTimers()
    try {
      const write = vi.fn(async () => {})
      const later = new LaterWrite(500, write)
      for (let n = 0; n < 1_000; n++) later.soon()
      await vi.advanceTimersByTimeAsync(499)
      expect(write).toHaveBeenCalledTimes(0)
      await vi.advanceTimersByTimeAsync(1)
      expect(write).toHaveBeenCalledTimes(1)
      later.soon()
      await vi.advanceTimersByTimeAsync(500)
      expect(write).toHaveBeenCalledTimes(2)
    } finally {
      vi.useRealTimers()
    }
  })

  it('asked to run now, waits for the one under way, takes what came meanwhile, and leaves no timer', async () => {
    const waiting = [1]
    const written: number[][] = []
    const ends: Array<() => void> = []
    const later = new LaterWrite(1, async () => {
      const taken = waiting.splice(0)
      await new Promise<void>((resolve) => ends.push(resolve))
      written.push(taken)
    })
    const first = later.now()
    await Promise.resolve()
    waiting.push(2)
    later.soon()
    const flushed = later.now()
    ends[0]?.()
    await first
    await vi.waitFor(() => expect(ends).toHaveLength(2))
    ends[1]?.()
    await flushed
    expect(written).toEqual([[1], [2]])
    expect(ends).toHaveLength(2)
  })
})
