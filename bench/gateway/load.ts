import { Connection, type Reply, requestTo, type Target } from './connection.ts'
import { cpuSeconds, familyCpuSeconds, residentMiB } from './process-figures.ts'
import { waitForQuiet, watchOthers } from './quiet.ts'

export interface Measured {
  perSecond: number
  requests: number
  /** Milliseconds to the last byte, and to the first. */
  p50: number
  p99: number
  firstP50: number
  firstP99: number
  errors: number
  /** Status of the errors and how often each came. */
  faults: Map<number, number>
  /** CPU milliseconds per 1,000 requests: of the gateway's process, and of the database; NaN where unknown. */
  cpuMs: number
  databaseCpuMs: number
  /** Resident memory of the gateway's process at the end, MiB. */
  residentMiB: number
  /** How late the load generator itself sent, ms (open loop only). */
  lateP99: number
  /** Share of the machine that was taken by processes that are none of ours, in percent: a figure is as good as this is low. */
  othersPercent: number
}

export interface Load {
  target: Target
  body: Buffer
  databasePid: number | null
  upstreamPid: number | null
}

const at = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN

/** Gathers replies, and what they cost the processes that served them. */
class Gauge {
  readonly #load: Load
  readonly #totals: number[] = []
  readonly #firsts: number[] = []
  readonly #late: number[] = []
  readonly #faults = new Map<number, number>()
  readonly #started = performance.now()
  readonly #cpu: number
  readonly #databaseCpu: number
  readonly #upstreamCpu: number
  readonly #own = process.cpuUsage()
  readonly #others = watchOthers()

  constructor(load: Load) {
    this.#load = load
    this.#cpu = cpuSeconds(load.target.pid) ?? Number.NaN
    this.#databaseCpu = familyCpuSeconds(load.databasePid) ?? Number.NaN
    this.#upstreamCpu = cpuSeconds(load.upstreamPid) ?? Number.NaN
  }

  /** `due` is when the request should have been sent: a gateway that stalls cannot hide the requests that had to wait. */
  add(reply: Reply, due: number, sent = due): void {
    this.#totals.push(reply.last - due)
    this.#firsts.push(reply.first - due)
    this.#late.push(sent - due)
    if (reply.status !== 200 || !reply.whole) this.#faults.set(reply.status, (this.#faults.get(reply.status) ?? 0) + 1)
  }

  read(): Measured {
    const took = (performance.now() - this.#started) / 1000
    const requests = this.#totals.length
    const cpu = (cpuSeconds(this.#load.target.pid) ?? Number.NaN) - this.#cpu
    const databaseCpu = (familyCpuSeconds(this.#load.databasePid) ?? Number.NaN) - this.#databaseCpu
    const upstreamCpu = (cpuSeconds(this.#load.upstreamPid) ?? Number.NaN) - this.#upstreamCpu
    const own = process.cpuUsage(this.#own)
    const ours = (own.user + own.system) / 1e6 + (cpu || 0) + databaseCpu + upstreamCpu
    const totals = Float64Array.from(this.#totals).sort()
    const firsts = Float64Array.from(this.#firsts).sort()
    return {
      perSecond: requests / took,
      requests,
      p50: at(totals, 0.5),
      p99: at(totals, 0.99),
      firstP50: at(firsts, 0.5),
      firstP99: at(firsts, 0.99),
      errors: [...this.#faults.values()].reduce((sum, count) => sum + count, 0),
      faults: this.#faults,
      cpuMs: (cpu * 1e6) / requests,
      databaseCpuMs: (databaseCpu * 1e6) / requests,
      othersPercent: this.#others(ours) * 100,
      residentMiB: residentMiB(this.#load.target.pid),
      lateP99: at(Float64Array.from(this.#late).sort(), 0.99),
    }
  }
}

/** Keeps `concurrency` requests under way for `seconds`, or until `most` were answered. */
export async function closedLoop(
  load: Load,
  concurrency: number,
  seconds: number,
  most = Number.POSITIVE_INFINITY,
): Promise<Measured> {
  const request = requestTo(load.target, load.body)
  const connections = Array.from({ length: concurrency }, () => new Connection(load.target.port))
  await waitForQuiet()
  const gauge = new Gauge(load)
  const end = performance.now() + seconds * 1000
  let sent = 0
  await Promise.all(
    connections.map(
      (connection) =>
        new Promise<void>((resolve) => {
          const next = () => {
            const now = performance.now()
            if (now >= end || sent >= most) return resolve()
            sent += 1
            connection.send(request, (reply) => {
              gauge.add(reply, now)
              next()
            })
          }
          next()
        }),
    ),
  )
  const measured = gauge.read()
  for (const connection of connections) connection.close()
  return measured
}

/**
 * Sends `perSecond` requests a second for `seconds`, whatever becomes of them; a connection that is still busy is not waited
 * for. Latency counts from the moment a request was due (no coordinated omission).
 */
export async function openLoop(load: Load, perSecond: number, seconds: number): Promise<Measured> {
  const request = requestTo(load.target, load.body)
  const all: Connection[] = []
  const free: Connection[] = []
  const total = Math.round(perSecond * seconds)
  await waitForQuiet()
  const gauge = new Gauge(load)
  const start = performance.now()
  let sent = 0
  let answered = 0
  await new Promise<void>((resolve) => {
    const send = (due: number) => {
      const connection = free.pop() ?? new Connection(load.target.port)
      if (!connection.socket) all.push(connection)
      const now = performance.now()
      connection.send(request, (reply) => {
        gauge.add(reply, due, now)
        free.push(connection)
        answered += 1
        if (answered === total) resolve()
      })
    }
    const tick = () => {
      const now = performance.now()
      while (sent < total && start + (sent * 1000) / perSecond <= now) {
        send(start + (sent * 1000) / perSecond)
        sent += 1
      }
      if (sent < total) setTimeout(tick, 1)
    }
    tick()
  })
  const measured = gauge.read()
  for (const connection of all) connection.close()
  return measured
}
