import { closedLoop, type Load, type Measured } from '../load.ts'
import { chatBody } from '../shapes.ts'
import { added, over, printFaults, printTable, ratio } from '../table.ts'
import type { TargetName, World } from '../world.ts'

export interface Measure {
  world: World
  seconds: number
  rounds: number
}

const heads = ['req/s', '/ direct', '/ pass', '/ tail', 'p50 ms', 'p99 ms', '+p50 ms', '+p99 ms', '+first ms']
const cost = ['cpu ms/k', 'cpu/pass', 'db ms/k', 'RSS MiB', 'others %', 'errors']

export const names: TargetName[] = ['direct', 'pass', 'pass+tail', 'keymargin']

export const loadOf = (world: World, name: TargetName, body: Buffer): Load => ({
  target: world.target(name),
  body,
  databasePid: world.databasePid,
  upstreamPid: world.upstreamPid,
})

/** Runs the targets in turn, round by round, so that a noisy minute hits all of them. */
export async function inTurn(
  targets: TargetName[],
  rounds: number,
  run: (name: TargetName) => Promise<Measured>,
): Promise<Map<TargetName, Measured[]>> {
  const results = new Map<TargetName, Measured[]>(targets.map((name) => [name, []]))
  for (let count = 0; count < rounds; count += 1) for (const name of targets) results.get(name)?.push(await run(name))
  return results
}

/** Throughput, latency and cost of each target against direct, against the pass-through, and against that with usage. */
export function printComparison(title: string, results: Map<TargetName, Measured[]>): void {
  const of = (name: TargetName) => results.get(name) ?? []
  const rows = [...results].map(([name, own]): [string, number[]] => [
    name,
    [
      over(own, (each) => each.perSecond),
      ratio(own, of('direct'), (each) => each.perSecond),
      ratio(own, of('pass'), (each) => each.perSecond),
      ratio(own, of('pass+tail'), (each) => each.perSecond),
      over(own, (each) => each.p50),
      over(own, (each) => each.p99),
      added(own, of('direct'), (each) => each.p50),
      added(own, of('direct'), (each) => each.p99),
      added(own, of('direct'), (each) => each.firstP50),
      over(own, (each) => each.cpuMs),
      ratio(own, of('pass'), (each) => each.cpuMs),
      name === 'keymargin' || name === 'pass+ledger' ? over(own, (each) => each.databaseCpuMs) : Number.NaN,
      over(own, (each) => each.residentMiB),
      over(own, (each) => each.othersPercent),
      own.reduce((sum, each) => sum + each.errors, 0),
    ],
  ])
  printTable(title, [...heads, ...cost], rows)
  for (const [name, own] of results) printFaults(name, own)
}

const concurrencies = [1, 16, 64, 256]

export async function throughput({ world, seconds, rounds }: Measure, streamed: boolean): Promise<void> {
  const body = chatBody({ streamed })
  for (const concurrency of concurrencies) {
    const run = (name: TargetName) => closedLoop(loadOf(world, name, body), concurrency, seconds)
    const what = streamed ? 'SSE, 1 KB in, 40 events out' : 'JSON, 1 KB in, 1 KB out'
    printComparison(`${what}, c=${concurrency}`, await inTurn(names, rounds, run))
  }
}

/** What stands between the pass-through and Keymargin: the two durable statements, and everything else. */
export async function apart({ world, seconds, rounds }: Measure): Promise<void> {
  const targets: TargetName[] = ['pass', 'pass+ledger', 'unmetered', 'keymargin']
  for (const concurrency of [1, 64])
    for (const streamed of [false, true]) {
      const run = (name: TargetName) => closedLoop(loadOf(world, name, chatBody({ streamed })), concurrency, seconds)
      const title = `What takes it: ${streamed ? 'SSE' : 'JSON'}, c=${concurrency}`
      printComparison(title, await inTurn(targets, rounds, run))
    }
}

/** 128 KB of prompt, as coding agents send them. */
export async function largePrompts({ world, seconds, rounds }: Measure): Promise<void> {
  const body = chatBody({ streamed: false, promptBytes: 128 * 1024 })
  const run = (name: TargetName) => closedLoop(loadOf(world, name, body), 16, seconds)
  await inTurn(names, 1, run)
  printComparison('128 KB prompts, JSON, c=16', await inTurn(names, rounds, run))
}
