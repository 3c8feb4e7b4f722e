import { noteProgress } from '#app/domain/ledger/open-attempts.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Ending } from './call.ts'
import type { UpstreamReply } from './upstream-reply.ts'

/** A call whose reply is under way. */
export interface Flight {
  callId: string
  streamed: boolean
  reply: UpstreamReply
}

/** Longest life of a reply; longest time and largest number of replies that are read after their client has gone. */
const longestReplyMs = 15 * 60_000
const longestDrainMs = 120_000
const mostDrains = 200
const progressEveryMs = 2_000

interface Flights {
  open: Set<Flight>
  drains: number
  draining: boolean
  /** This process is about to end and breaks off what is still under way. */
  ending: boolean
}

const flights = () =>
  singleton<Flights>('gateway:flights', () => ({ open: new Set(), drains: 0, draining: false, ending: false }))

/** Whether this process still takes calls. */
export const takesCalls = (): boolean => !flights().draining

function noteAll(): void {
  for (const { callId, streamed, reply } of flights().open) {
    if (streamed && reply.bytes > 0) noteProgress({ callId, upstreamId: reply.generationId, relayedBytes: reply.bytes })
  }
}

const progressTimer = () => singleton('gateway:progress', () => setInterval(noteAll, progressEveryMs).unref())

/** Registers a reply until `land` is called, and bounds its life. */
export function takeOff(flight: Flight): { land: () => void } {
  progressTimer()
  const { open } = flights()
  open.add(flight)
  const tooLong = setTimeout(() => flight.reply.abandon(), longestReplyMs)
  tooLong.unref()
  return {
    land: () => {
      clearTimeout(tooLong)
      open.delete(flight)
    },
  }
}

/**
 * Reads a reply to its end although its client has gone: the provider bills it whole, and only its end says what it cost.
 * Bounded in time and number; beyond that the reply is broken off and settled from the provider's record.
 */
export function drainReply(reply: UpstreamReply): { done: () => void } {
  const held = flights()
  if (held.drains >= mostDrains) {
    reply.abandon()
    return { done: () => {} }
  }
  held.drains += 1
  const deadline = setTimeout(() => reply.abandon(), longestDrainMs)
  deadline.unref()
  reply.drain()
  return {
    done: () => {
      clearTimeout(deadline)
      held.drains -= 1
    },
  }
}

/**
 * Takes no more calls and waits for those under way, for at most `ms`. What is left then stays open in the ledger's
 * attempts and is settled by the sweeper.
 */
export async function landAll(ms: number): Promise<number> {
  const held = flights()
  held.draining = true
  const deadline = performance.now() + ms
  while (held.open.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50))
  noteAll()
  held.ending = held.open.size > 0
  return held.open.size
}

/**
 * Whether a call is left to the sweeper: its reply was broken off by this process's own end, while the provider goes on
 * with it. Only later will the provider's record say what it came to; an estimate now would be worse.
 */
export const leftToSweeper = (ending: Ending): boolean => flights().ending && (ending === 'cut' || ending === 'silent')

/** For tests that start a gateway again in the same process. */
export function takeCallsAgain(): void {
  Object.assign(flights(), { draining: false, ending: false })
}
