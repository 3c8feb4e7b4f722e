import { openLoop } from '../load.ts'
import { chatBody } from '../shapes.ts'
import { added, over, printFaults, printTable, ratio } from '../table.ts'
import type { TargetName } from '../world.ts'
import { inTurn, loadOf, type Measure, names } from './throughput.ts'

/** Code is compiled by what it meets, and one call at a time is another path than many at once: at this rate it settles anew. */
const settleSeconds = 5

/** 1,000 requests a second, due at fixed moments. */
export async function fixedRate({ world, seconds, rounds }: Measure): Promise<void> {
  const body = chatBody({ streamed: false })
  const targets: TargetName[] = [...names, 'unmetered']
  const recorded = () => world.owner.query('SELECT count(*)::int AS calls FROM metering.inference_calls')
  const run = async (name: TargetName) => {
    const before = (await recorded()).rows[0].calls
    const measured = await openLoop(loadOf(world, name, body), 1_000, 2 * seconds)
    const written = (await recorded()).rows[0].calls - before
    if (name === 'unmetered' && written > 0) throw new Error(`the unmetered gateway recorded ${written} calls`)
    return measured
  }
  for (const name of targets) await openLoop(loadOf(world, name, body), 1_000, settleSeconds)
  const results = await inTurn(targets, rounds, run)
  const of = (name: TargetName) => results.get(name) ?? []
  const rows = [...results].map(([name, own]): [string, number[]] => [
    name,
    [
      over(own, (each) => each.p50),
      over(own, (each) => each.p99),
      added(own, of('pass'), (each) => each.p50),
      added(own, of('pass'), (each) => each.p99),
      added(own, of('unmetered'), (each) => each.p50),
      added(own, of('unmetered'), (each) => each.p99),
      over(own, (each) => each.cpuMs),
      over(own, (each) => each.lateP99),
      over(own, (each) => each.othersPercent),
      own.reduce((sum, each) => sum + each.errors, 0),
    ],
  ])
  const heads = [
    'p50 ms',
    'p99 ms',
    '+p50 pass',
    '+p99 pass',
    '+p50 unm.',
    '+p99 unm.',
    'cpu ms/k',
    'late p99',
    'others %',
    'errors',
  ]
  printTable('1,000 requests/s open loop, JSON, from the moment each was due', heads, rows)
  for (const [name, own] of results) printFaults(name, own)
}

/** Streams as models write them: 100 new ones a second, the first token after 50 ms, the next every 10 ms. */
export async function pacedStreams({ world, seconds, rounds }: Measure): Promise<void> {
  const body = chatBody({ streamed: true, mark: 'paced' })
  const run = (name: TargetName) => openLoop(loadOf(world, name, body), 100, 2 * seconds)
  const results = await inTurn(names, rounds, run)
  const of = (name: TargetName) => results.get(name) ?? []
  const rows = [...results].map(([name, own]): [string, number[]] => [
    name,
    [
      over(own, (each) => each.firstP50),
      added(own, of('direct'), (each) => each.firstP50),
      added(own, of('direct'), (each) => each.firstP99),
      over(own, (each) => each.p50),
      over(own, (each) => each.p99),
      ratio(own, of('direct'), (each) => each.p99),
      over(own, (each) => each.cpuMs),
      over(own, (each) => each.othersPercent),
      own.reduce((sum, each) => sum + each.errors, 0),
    ],
  ])
  const heads = [
    'first ms',
    '+first p50',
    '+first p99',
    'p50 ms',
    'p99 ms',
    'p99/direct',
    'cpu ms/k',
    'others %',
    'errors',
  ]
  printTable('Streams at a realistic pace: 50 ms, then 10 ms a token, 100 new ones a second', heads, rows)
  for (const [name, own] of results) printFaults(name, own)
}
