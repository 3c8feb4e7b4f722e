import { setTimeout as delay } from 'node:timers/promises'
import { Connection, requestTo } from '../connection.ts'
import { closedLoop } from '../load.ts'
import { queuedBytes, residentMiB } from '../process-figures.ts'
import { chatBody } from '../shapes.ts'
import { printFaults, printTable } from '../table.ts'
import { handedOver, type TargetName, type World } from '../world.ts'
import type { Measure } from './throughput.ts'

const openStreams = 1_500

interface Watched {
  before: number
  peak: number
  wrong: number
}

/** Opens streams that say something every second, all at the same time, and watches the process that relays them. */
async function holdOpen(world: World, name: TargetName): Promise<Watched> {
  const target = world.target(name)
  const request = requestTo(target, chatBody({ streamed: true, mark: 'held' }))
  const before = residentMiB(target.pid)
  const connections = Array.from({ length: openStreams }, () => new Connection(target.port))
  let wrong = 0
  const ends: Promise<void>[] = []
  for (const [index, connection] of connections.entries()) {
    const end = new Promise<void>((resolve) =>
      connection.send(request, (reply) => {
        if (!reply.whole || reply.status !== 200) wrong += 1
        resolve()
      }),
    )
    ends.push(end)
    if (index % 50 === 49) await delay(40)
  }
  let peak = 0
  const watch = setInterval(() => {
    peak = Math.max(peak, residentMiB(target.pid))
  }, 250)
  await Promise.all(ends)
  clearInterval(watch)
  for (const connection of connections) connection.close()
  return { before, peak, wrong }
}

export async function manyStreams({ world }: Measure): Promise<void> {
  const rows: [string, number[]][] = []
  for (const name of ['pass', 'keymargin'] as const) {
    const { before, peak, wrong } = await holdOpen(world, name)
    rows.push([name, [before, peak, ((peak - before) * 1024) / openStreams, wrong]])
  }
  printTable('1,500 open streams', ['RSS before', 'RSS peak', 'KiB/stream', 'errors'], rows)
}

const slowReaders = 24

/** A client that takes 1 KB a second: reads that much, then pauses. Counts what its process took from the kernel. */
function readSlowly(connection: Connection, request: Buffer): () => number {
  connection.send(request, () => {})
  const socket = connection.socket
  let taken = 0
  socket?.removeAllListeners('data')
  socket?.on('readable', () => {})
  const timer = setInterval(() => {
    taken += (socket?.read(1024) as Buffer | null)?.length ?? 0
  }, 1_000)
  socket?.once('close', () => clearInterval(timer))
  return () => taken + (socket?.readableLength ?? 0)
}

/**
 * 24 clients that take 1 KB a second of a 16 MiB stream. What the upstream handed over and the clients did not take lies in
 * the kernel's queues or in the gateway; the kernel tells its part, the rest is the gateway's.
 */
export async function slowReader({ world }: Measure): Promise<void> {
  const rows: [string, number[]][] = []
  for (const name of ['pass', 'keymargin'] as const) {
    const target = world.target(name)
    const request = requestTo(target, chatBody({ streamed: true, mark: 'large' }))
    const queues = () => queuedBytes(target.port) + queuedBytes(world.upstreamPort)
    const [handedBefore, queuedBefore, memoryBefore] = [await handedOver(world), queues(), residentMiB(target.pid)]
    const connections = Array.from({ length: slowReaders }, () => new Connection(target.port))
    const taken = connections.map((connection) => readSlowly(connection, request))
    await delay(5_000)
    const queued = queues() - queuedBefore
    const handed = (await handedOver(world)) - handedBefore
    const held = handed - queued - taken.reduce((sum, each) => sum + each(), 0)
    const grown = residentMiB(target.pid) - memoryBefore
    rows.push([name, [handed / slowReaders / 1024, held / slowReaders / 1024, (grown * 1024) / slowReaders]])
    for (const connection of connections) connection.close()
    await delay(500)
  }
  const heads = ['handed KiB', 'held KiB', 'RSS KiB']
  printTable('A reader of 1 KB/s on a 16 MiB stream, per stream: handed over, held by the process', heads, rows)
}

/** Memory of a process over a long run: after a warm-up, at its peak, at the end. */
export async function longRun({ world }: Measure, requests: number): Promise<void> {
  const fresh = await world.startFresh()
  const { target } = fresh
  const { databasePid, upstreamPid } = world
  const load = { target, body: chatBody({ streamed: false }), databasePid, upstreamPid }
  const idle = residentMiB(target.pid)
  // A process takes the memory that it works in over its first tens of thousands of calls; growth is what comes after.
  await closedLoop(load, 256, 600, 100_000)
  const start = residentMiB(target.pid)
  let peak = start
  const watch = setInterval(() => {
    peak = Math.max(peak, residentMiB(target.pid))
  }, 250)
  const measured = await closedLoop(load, 256, 1_800, requests)
  clearInterval(watch)
  const end = residentMiB(target.pid)
  const growth = ((end - start) / start) * 100
  printTable(
    `Memory over ${measured.requests.toLocaleString('en')} requests in a fresh process, JSON, c=256`,
    ['RSS idle', 'RSS warm', 'RSS peak', 'RSS end', 'growth %', 'req/s', 'errors'],
    [['keymargin', [idle, start, peak, end, growth, measured.perSecond, measured.errors]]],
  )
  printFaults('keymargin', [measured])
  await fresh.stop()
}
