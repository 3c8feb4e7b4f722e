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

interface Seated extends Flight {
  /** Monotonic ms. */
  tookOffAt: number
  /** Since when the reply is read although its client has gone. */
  drainedSince: number | null
}

/** Longest life of a reply; longest time and largest number of replies that are read after their client has gone. */
const longestReplyMs = 15 * 60_000
const longestDrainMs = 120_000
const mostDrains = 200
const progressEveryMs = 2_000
const limitsEveryMs = 1_000

/**
 * Flights lie in numbered seats, and whoever follows one keeps its number, not the flight: when a client's side held its reply
 * by a closure, dead calls survived every scavenge (docs/performance.md). A Map or a Set is no place for them either: each
 * table that it outgrows leads to the next, another chain by which the old generation can keep dead calls.
 */
interface Flights {
  seats: (Seated | null)[]
  free: number[]
  /** Requests that were taken and have no answer yet: before their flight, during it, and between two. */
  answering: number
  drains: number
  draining: boolean
  /** This process is about to end and breaks off what is still under way. */
  ending: boolean
}

const flights = () =>
  singleton<Flights>('gateway:flights', () => {
    return { seats: [], free: [], answering: 0, drains: 0, draining: false, ending: false }
  })

/** Whether this process still takes calls. */
export const takesCalls = (): boolean => !flights().draining

/** A request was taken: until `endAnswer` a process that is to end waits for it. */
export const beginAnswer = (): number => ++flights().answering
export const endAnswer = (): number => --flights().answering

const underWay = ({ seats, free }: Flights): number => seats.length - free.length

function noteAll(): void {
  for (const flight of flights().seats) {
    if (!flight?.streamed || flight.reply.bytes === 0) continue
    const { callId, reply } = flight
    noteProgress({ callId, upstreamId: reply.generationId, relayedBytes: reply.bytes })
  }
}

/** Breaks off what has lasted too long. One look at all of them costs less than a timer for each. */
function holdToLimits(): void {
  const now = performance.now()
  for (const flight of flights().seats) {
    if (!flight) continue
    const { tookOffAt, drainedSince, reply } = flight
    if (now - tookOffAt >= longestReplyMs || (drainedSince !== null && now - drainedSince >= longestDrainMs))
      reply.abandon()
  }
}

const startTimers = () =>
  singleton('gateway:flight-timers', () => [
    setInterval(noteAll, progressEveryMs).unref(),
    setInterval(holdToLimits, limitsEveryMs).unref(),
  ])

/** Registers a reply until its seat is given back, and bounds its life. @returns its seat, for `land` and `drainFlight` */
export function takeOff(flight: Flight): number {
  startTimers()
  const { seats, free } = flights()
  const seat = free.pop() ?? seats.length
  seats[seat] = { ...flight, tookOffAt: performance.now(), drainedSince: null }
  return seat
}

/** The reply is over and accounted for. */
export function land(seat: number): void {
  const held = flights()
  const flight = held.seats[seat]
  if (!flight) return
  if (flight.drainedSince !== null) held.drains -= 1
  held.seats[seat] = null
  held.free.push(seat)
}

/**
 * Reads a reply to its end although its client has gone: the provider bills it whole, and only its end says what it cost.
 * Bounded in time and number; beyond that the reply is broken off and settled from the provider's record.
 */
export function drainFlight(seat: number): void {
  const held = flights()
  const flight = held.seats[seat]
  if (!flight || flight.drainedSince !== null) return
  if (held.drains >= mostDrains) {
    flight.reply.abandon()
    return
  }
  held.drains += 1
  flight.drainedSince = performance.now()
  flight.reply.drain()
}

/**
 * Takes no more calls and waits for those under way, for at most `ms`. What is left then stays open in the ledger's
 * attempts and is settled by the sweeper.
 */
export async function landAll(ms: number): Promise<number> {
  const held = flights()
  held.draining = true
  const deadline = performance.now() + ms
  const busy = () => underWay(held) > 0 || held.answering > 0
  while (busy() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50))
  noteAll()
  held.ending = busy() // one whose attempt is being written goes out yet, and is cut off too
  return underWay(held)
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
