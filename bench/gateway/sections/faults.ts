import { setTimeout as delay } from 'node:timers/promises'
import { sweepAttempts } from '#app/domain/ledger/sweep-attempts.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'
import { Connection, requestTo, type Target } from '../connection.ts'
import { residentMiB } from '../process-figures.ts'
import { chatBody, exactCostPico } from '../shapes.ts'
import { printTable } from '../table.ts'
import { servedBy, type World } from '../world.ts'
import type { Measure } from './throughput.ts'

interface Loop {
  /** Replies by status; 0: broken off. */
  counts: Map<number, number>
  /** Whole replies with 200. */
  answered: number
  stop(): Promise<void>
}

/** Keeps calls under way, half of them streams, until it is stopped; what is broken off is asked again a moment later. */
function keepCalling(target: Target, concurrency: number): Loop {
  const requests = [true, false].map((streamed) => requestTo(target, chatBody({ streamed })))
  const connections = Array.from({ length: concurrency }, () => new Connection(target.port))
  const loop = { counts: new Map<number, number>(), answered: 0 }
  let stopped = false
  const callers = connections.map(
    (connection, index) =>
      new Promise<void>((resolve) => {
        const next = () => {
          if (stopped) return resolve()
          connection.send(requests[index % 2] as Buffer, ({ status, whole }) => {
            loop.counts.set(status, (loop.counts.get(status) ?? 0) + 1)
            if (status === 200 && whole) loop.answered += 1
            if (status === 200 && whole) next()
            else setTimeout(next, 20)
          })
        }
        next()
      }),
  )
  return Object.assign(loop, {
    stop: async () => {
      stopped = true
      await Promise.race([Promise.all(callers), delay(35_000, undefined, { ref: false })])
      for (const connection of connections) connection.close()
    },
  })
}

const noRecord = async () => ({ kind: 'refused' }) as const

/** What is left open is settled as if an hour had passed: nobody can be asked about these calls. */
async function sweepAll(): Promise<void> {
  await sweepAttempts(noRecord, new Date(Date.now() + 61 * 60_000))
}

interface Ledger {
  calls: number
  distinct: number
  exact: number
  wrong: number
  rolled: number
  open: number
}

async function ledgerOf(world: World): Promise<Ledger> {
  const { rows } = await world.owner.query<Ledger>(
    `SELECT count(*)::int AS calls, count(DISTINCT id)::int AS distinct,
       count(*) FILTER (WHERE usage_source = 'provider' AND raw_cost_pico = $1)::int AS exact,
       count(*) FILTER (WHERE raw_cost_pico <> $1)::int AS wrong,
       (SELECT coalesce(sum(calls), 0)::int FROM metering.call_daily_rollups) AS rolled,
       (SELECT count(*)::int FROM metering.attempts) AS open
     FROM metering.inference_calls`,
    [exactCostPico],
  )
  return rows[0] as Ledger
}

interface Account {
  served: number
  answered: number
  ledger: Ledger
}

/** What happened since, against the ledger: every request that the upstream got once, every answered one at its exact cost. */
function print(title: string, before: Account, after: Account, more: [string, number][]): void {
  const calls = after.ledger.calls - before.ledger.calls
  const exact = after.ledger.exact - before.ledger.exact
  const served = after.served - before.served
  const answered = after.answered - before.answered
  const doubled = after.ledger.calls - after.ledger.distinct
  // An attempt is written before its request goes out: a call that was killed between the two is in the ledger, at nothing.
  const lost = Math.max(0, served - calls) + Math.max(0, answered - exact)
  const heads = [
    'reached',
    'answered',
    'ledger',
    'exact',
    'lost',
    'doubled',
    'wrong cost',
    'open',
    ...more.map(([name]) => name),
  ]
  const figures = [served, answered, calls, exact, lost, doubled, after.ledger.wrong, after.ledger.open]
  printTable(title, heads, [['keymargin', [...figures, ...more.map(([, figure]) => figure)]]])
  if (lost + doubled + after.ledger.wrong + after.ledger.open > 0 || after.ledger.rolled !== after.ledger.calls)
    throw new Error('the ledger is not what was served')
}

/** Twenty processes, each killed -9 under load at another moment. */
export async function kills({ world }: Measure, times = 20): Promise<void> {
  const before = { served: await servedBy(world), answered: 0, ledger: await ledgerOf(world) }
  let answered = 0
  for (let round = 0; round < times; round += 1) {
    const fresh = await world.startFresh()
    const loop = keepCalling(fresh.target, 64)
    await delay(700 + ((round * 137) % 600))
    await fresh.kill()
    await loop.stop()
    answered += loop.answered
  }
  await sweepAll()
  const after = { served: await servedBy(world), answered, ledger: await ledgerOf(world) }
  print(`${times} kills -9 under load, c=64, JSON and SSE`, before, after, [['kills', times]])
  await closeDatabase()
}

/** The database is gone for a while under load: nothing is served unmetered, and memory does not grow. */
export async function outage({ world }: Measure, seconds: number): Promise<void> {
  const fresh = await world.startFresh()
  const before = { served: await servedBy(world), answered: 0, ledger: await ledgerOf(world) }
  const loop = keepCalling(fresh.target, 64)
  await delay(4_000)
  const [warm, answeredBefore] = [residentMiB(fresh.target.pid), loop.answered]
  await world.cutOffDatabase()
  let peak = warm
  const watch = setInterval(() => {
    peak = Math.max(peak, residentMiB(fresh.target.pid))
  }, 250)
  await delay(1_000)
  const [servedAtCut, answeredAtCut] = [await servedBy(world), loop.answered]
  await delay((seconds - 1) * 1_000)
  const servedMeanwhile = (await servedBy(world)) - servedAtCut
  const answeredMeanwhile = loop.answered - answeredAtCut
  await world.letInDatabase()
  await delay(4_000)
  clearInterval(watch)
  const recovered = loop.answered - answeredAtCut - answeredMeanwhile
  await loop.stop()
  await fresh.stop()
  await sweepAll()
  const after = { served: await servedBy(world), answered: loop.answered, ledger: await ledgerOf(world) }
  print(`The database away for ${seconds} s under load, c=64`, before, after, [
    ['sent away', servedMeanwhile],
    ['200 away', answeredMeanwhile],
    ['200 before', answeredBefore],
    ['200 after', recovered],
    ['503', loop.counts.get(503) ?? 0],
    ['RSS warm', warm],
    ['RSS peak', peak],
  ])
  await closeDatabase()
}
