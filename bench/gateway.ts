/**
 * The gateway's whole path (token, admission, key, attempt, ledger row committed before the last byte) against a direct call
 * and against the bare pass-through, in one run: ratios survive a noisy machine, absolute numbers do not.
 *   node bench/gateway.ts [rounds] [seconds per round]
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { load, type Measured, type Target } from './gateway/load.ts'
import { startWorld } from './gateway/world.ts'

const rounds = Number(process.argv[2] ?? 3)
const seconds = Number(process.argv[3] ?? 2)

interface Round extends Measured {
  /** CPU milliseconds of the gateway's own process per 1,000 requests; null where it cannot be read. */
  cpuMs: number | null
}

const ticksPerSecond = () => Number(execFileSync('getconf', ['CLK_TCK']).toString())

/** CPU seconds a process has used, from the Linux process table. */
function cpuSeconds(pid: number | null): number | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond()
  } catch {
    return null
  }
}

async function round(target: Target, concurrency: number, streamed: boolean): Promise<Round> {
  const before = cpuSeconds(target.pid)
  const measured = await load(target, concurrency, streamed, seconds)
  const after = cpuSeconds(target.pid)
  const requests = measured.perSecond * seconds
  return { ...measured, cpuMs: before === null || after === null ? null : ((after - before) * 1e6) / requests }
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
const show = (value: number, digits = 2): string => value.toFixed(digits).padStart(9)

/** Medians over the rounds of one target, and of its per-round ratio to another's throughput. */
function report(name: string, own: Round[], reference: Round[] | null): void {
  const ratio = reference
    ? median(own.map((each, index) => each.perSecond / (reference[index]?.perSecond ?? Number.NaN)))
    : 1
  const cpu = own.some((each) => each.cpuMs === null) ? Number.NaN : median(own.map((each) => each.cpuMs ?? 0))
  const errors = own.reduce((sum, each) => sum + each.errors, 0)
  const columns = [
    median(own.map((each) => each.perSecond)),
    ratio,
    median(own.map((each) => each.p50)),
    median(own.map((each) => each.p99)),
    median(own.map((each) => each.firstP50)),
    cpu,
  ]
  console.log(`  ${name.padEnd(14)}${columns.map((value) => show(value)).join('')}${String(errors).padStart(8)}`)
}

async function compare(targets: Target[], concurrency: number, streamed: boolean): Promise<void> {
  const results = new Map<string, Round[]>(targets.map((target) => [target.name, []]))
  for (const target of targets) await load(target, concurrency, streamed, 1)
  for (let count = 0; count < rounds; count += 1)
    for (const target of targets) results.get(target.name)?.push(await round(target, concurrency, streamed))
  console.log(`\n${streamed ? 'SSE, 40 events' : 'JSON, 1 KB'}, c=${concurrency}`)
  console.log(
    `  ${''.padEnd(14)}${['req/s', '/ pass', 'p50 ms', 'p99 ms', 'first ms', 'cpu/1000'].map((head) => head.padStart(9)).join('')}${'errors'.padStart(8)}`,
  )
  const reference = results.get('pass-through') ?? null
  for (const target of targets) report(target.name, results.get(target.name) ?? [], reference)
}

const world = await startWorld()
try {
  for (const target of world.targets) {
    await load(target, 16, false, 4)
    await load(target, 16, true, 4)
  }
  for (const streamed of [false, true])
    for (const concurrency of [1, 16, 64]) await compare(world.targets, concurrency, streamed)
  const { rows } = await world.owner.query(
    "SELECT count(*) AS calls, count(*) FILTER (WHERE status = 'ok' AND raw_cost_pico = 142500000) AS exact, (SELECT count(*) FROM metering.attempts WHERE state = 'open') AS open FROM metering.inference_calls",
  )
  console.log('\nledger after the run:', rows[0])
} finally {
  await world.stop()
}
