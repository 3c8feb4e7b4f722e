/**
 * Keymargin's whole path (token, admission, key, attempt, ledger row committed before the last byte) against a direct call,
 * a bare node:http + undici pass-through, and one that reads the usage too, in one run: ratios survive a noisy machine,
 * absolute numbers do not. Where `taskset` exists the process under test has a core to itself.
 *   node bench/gateway.ts [--only json,sse,apart,rate,pace,prompts,streams,slow,memory,kills,outage] [--seconds 1.2] [--rounds 3]
 *                         [--requests 100000] [--away 60] [--profile]
 */
import { parseArgs } from 'node:util'
import { canPin, keepOffGatewayCore } from './gateway/cores.ts'
import { checkLedger } from './gateway/ledger-check.ts'
import { closedLoop } from './gateway/load.ts'
import { profileUnder } from './gateway/profile.ts'
import { kills, outage } from './gateway/sections/faults.ts'
import { longRun, manyStreams, slowReader } from './gateway/sections/memory.ts'
import { fixedRate, pacedStreams } from './gateway/sections/pace.ts'
import { apart, largePrompts, loadOf, type Measure, names, throughput } from './gateway/sections/throughput.ts'
import { chatBody } from './gateway/shapes.ts'
import { profileFile, startWorld, type TargetName, type World } from './gateway/world.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seconds: { type: 'string', default: '1.2' },
    rounds: { type: 'string', default: '3' },
    requests: { type: 'string', default: '100000' },
    away: { type: 'string', default: '60' },
    profile: { type: 'boolean', default: false },
  },
})

const sections: Record<string, (measure: Measure) => Promise<void>> = {
  json: (measure) => throughput(measure, false),
  sse: (measure) => throughput(measure, true),
  apart,
  rate: fixedRate,
  pace: pacedStreams,
  prompts: largePrompts,
  streams: manyStreams,
  slow: slowReader,
  memory: (measure) => longRun(measure, Number(values.requests)),
  kills,
  outage: (measure) => outage(measure, Number(values.away)),
}

const chosen = values.only?.split(',') ?? Object.keys(sections)
const unknown = chosen.filter((name) => !sections[name])
if (unknown.length > 0) throw new Error(`--only takes ${Object.keys(sections).join(', ')}; not ${unknown.join(', ')}`)

/** The more code, the longer until it is compiled: Keymargin's cost per call settles after eight seconds, a bare process's after two. */
const warmUpSeconds: Partial<Record<TargetName, number>> = { direct: 1, keymargin: 8, unmetered: 8 }

/** A cold compiler is two to four times slower: every process serves some thousands before anything is measured. */
async function warmUp(world: World): Promise<void> {
  const targets: TargetName[] = [
    ...names,
    ...(chosen.includes('rate') || chosen.includes('apart') ? (['unmetered'] as const) : []),
    ...(chosen.includes('apart') ? (['pass+ledger'] as const) : []),
  ]
  for (const name of targets)
    for (const streamed of [false, true])
      await closedLoop(loadOf(world, name, chatBody({ streamed })), 64, warmUpSeconds[name] ?? 3)
}

async function profile(world: World): Promise<void> {
  const bodies: Record<string, Buffer> = {
    json: chatBody({ streamed: false }),
    sse: chatBody({ streamed: true }),
    prompts: chatBody({ streamed: false, promptBytes: 128 * 1024 }),
  }
  for (const name of chosen) {
    const body = bodies[name]
    if (body) await profileUnder(name.toUpperCase(), loadOf(world, 'keymargin', body), profileFile, 4)
  }
}

keepOffGatewayCore()
const started = performance.now()
const world = await startWorld({ profiled: values.profile })
try {
  const measure = { world, seconds: Number(values.seconds), rounds: Number(values.rounds) }
  console.log(
    `Node ${process.version}, ${canPin ? 'the process under test on a core of its own' : 'cores shared by all'}, ` +
      `${measure.rounds} rounds of ${measure.seconds} s, medians`,
  )
  if (values.profile) await profile(world)
  else {
    await warmUp(world)
    for (const name of chosen) await sections[name]?.(measure)
  }
  await checkLedger(world)
} finally {
  await world.stop()
  console.log(`took ${((performance.now() - started) / 1000).toFixed(0)} s`)
}
