import { existsSync, readFileSync, rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { closedLoop, type Load } from './load.ts'

interface Node {
  id: number
  callFrame: { functionName: string; url: string; lineNumber: number }
}

interface Profile {
  nodes: Node[]
  samples: number[]
  timeDeltas: number[]
}

const place = (url: string): string =>
  url.replace(/^.*\/node_modules\//, '').replace(/^.*\/(app|bench|test)\//, '$1/') || 'native'

/** Share of the time that each function itself took, largest first. */
function selfTimes(profile: Profile): [string, number][] {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]))
  const times = new Map<string, number>()
  let sum = 0
  for (const [index, id] of profile.samples.entries()) {
    const frame = byId.get(id)?.callFrame
    const took = profile.timeDeltas[index] ?? 0
    if (!frame || frame.functionName === '(idle)') continue
    const name = `${frame.functionName || 'anonymous'}  ${place(frame.url)}:${frame.lineNumber + 1}`
    times.set(name, (times.get(name) ?? 0) + took)
    sum += took
  }
  return [...times].map(([name, took]): [string, number] => [name, took / sum]).sort((a, b) => b[1] - a[1])
}

/** The same by file or package: where work is spread over many small functions. */
function byPlace(times: [string, number][]): [string, number][] {
  const places = new Map<string, number>()
  for (const [name, share] of times) {
    const file = (name.split('  ')[1] ?? '').replace(/:\d+$/, '')
    places.set(file, (places.get(file) ?? 0) + share)
  }
  return [...places].sort((a, b) => b[1] - a[1])
}

/** Profiles the gateway's process under load and prints where its time goes. */
export async function profileUnder(title: string, load: Load, file: string, seconds: number): Promise<void> {
  const pid = load.target.pid as number
  await closedLoop(load, 64, 4)
  rmSync(file, { force: true })
  process.kill(pid, 'SIGUSR2')
  const measured = await closedLoop(load, 64, seconds)
  process.kill(pid, 'SIGUSR2')
  for (let tries = 0; tries < 200; tries += 1) {
    await delay(100)
    if (existsSync(file) && readFileSync(file, 'utf8').endsWith('}')) break
  }
  const times = selfTimes(JSON.parse(readFileSync(file, 'utf8')))
  const show = ([name, share]: [string, number]) => console.log(`  ${(share * 100).toFixed(1).padStart(5)} %  ${name}`)
  console.log(`\n${title}, c=64: ${measured.perSecond.toFixed(0)}/s while profiled. Self time by function:`)
  times.slice(0, 30).forEach(show)
  console.log('by file:')
  byPlace(times).slice(0, 25).forEach(show)
}
