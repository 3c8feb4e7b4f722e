import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { dropSingleton } from '#app/platform/singleton.server.ts'
import { drainFlight, land, takeOff } from './in-flight.server.ts'
import type { UpstreamReply } from './upstream-reply.ts'

/** A reply that only notes what is done to it. */
function noted() {
  const done: string[] = []
  const reply = { drain: () => done.push('drain'), abandon: () => done.push('abandon'), bytes: 0, generationId: null }
  return { done, reply: reply as unknown as UpstreamReply }
}

/** A call whose client has gone. @returns its seat */
function drained(reply: UpstreamReply): number {
  const seat = takeOff({ callId: 'x', streamed: false, reply })
  drainFlight(seat)
  return seat
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
  for (const name of ['gateway:flights', 'gateway:flight-timers']) dropSingleton(name)
})

test('a drained reply is read for at most 120 seconds', () => {
  const { done, reply } = noted()
  drained(reply)
  vi.advanceTimersByTime(119_000)
  expect(done).toEqual(['drain'])
  vi.advanceTimersByTime(1_000)
  expect(done).toEqual(['drain', 'abandon'])
})

test('at most 200 replies are drained at a time; one more is broken off at once, and a place that is free is taken again', () => {
  const drains = Array.from({ length: 200 }, () => drained(noted().reply))
  const late = noted()
  drained(late.reply)
  expect(late.done).toEqual(['abandon'])
  land(drains[0] as number)
  const next = noted()
  drained(next.reply)
  expect(next.done).toEqual(['drain'])
})

test('no reply lives longer than 15 minutes', () => {
  const { done, reply } = noted()
  takeOff({ callId: 'x', streamed: false, reply })
  const landed = noted()
  land(takeOff({ callId: 'y', streamed: false, reply: landed.reply }))
  vi.advanceTimersByTime(15 * 60_000)
  expect([done, landed.done]).toEqual([['abandon'], []])
})
