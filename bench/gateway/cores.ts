import { execFileSync, spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** The gateway under test has the last core to itself; load, upstream and database share the others. */
const own = availableParallelism() - 1

/** Whether processes can be bound to cores here. */
export const canPin: boolean = own > 0 && spawnSync('taskset', ['--version']).status === 0

/** Binds this process, and so whatever it starts from now on, to all cores but the gateway's. */
export function keepOffGatewayCore(): void {
  if (canPin) execFileSync('taskset', ['-a', '-c', '-p', own === 1 ? '0' : `0-${own - 1}`, String(process.pid)])
}

/** The command that starts a program on the gateway's core. */
export const onGatewayCore = (program: string, args: string[]): [string, string[]] =>
  canPin ? ['taskset', ['-c', String(own), program, ...args]] : [program, args]
