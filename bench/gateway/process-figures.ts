import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

const ticksPerSecond = (() => {
  try {
    return Number(execFileSync('getconf', ['CLK_TCK']).toString())
  } catch {
    return 100
  }
})()

function statOf(pid: number | string): string[] | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? null
  } catch {
    return null
  }
}

const secondsIn = (stat: string[]): number => (Number(stat[11]) + Number(stat[12])) / ticksPerSecond

/** CPU seconds that a process has used; null where there is no process table to read. */
export function cpuSeconds(pid: number | null): number | null {
  const stat = pid === null ? null : statOf(pid)
  return stat && secondsIn(stat)
}

/** CPU seconds of a process and of its living children: of a database server with its sessions. */
export function familyCpuSeconds(pid: number | null): number | null {
  const own = cpuSeconds(pid)
  if (own === null) return null
  let sum = own
  for (const each of readdirSync('/proc')) {
    const stat = /^\d+$/.test(each) ? statOf(each) : null
    if (stat && Number(stat[1]) === pid) sum += secondsIn(stat)
  }
  return sum
}

/** Resident memory in MiB; NaN where it cannot be read. */
export function residentMiB(pid: number | null): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
  } catch {
    return Number.NaN
  }
}

/**
 * Bytes that lie in the kernel's queues of the loopback connections to a port: sent and not yet taken in by the other side's
 * kernel, or there and not yet read by its process. Both ends of a connection stand in the table.
 */
export function queuedBytes(port: number): number {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  let sum = 0
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, local = '', remote = '', , queues = ''] = line.trim().split(/\s+/)
    if (!local.endsWith(`:${wanted}`) && !remote.endsWith(`:${wanted}`)) continue
    const [sending = '0', received = '0'] = queues.split(':')
    sum += Number.parseInt(sending, 16) + Number.parseInt(received, 16)
  }
  return sum
}
