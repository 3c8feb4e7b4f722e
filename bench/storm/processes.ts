import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

export interface Fleet {
  /** Kills one of the processes at random, now and then, until the time is over; each comes back at once. */
  killUntil(end: number): Promise<{ web: number; worker: number }>
  /** Ends all of them in order. @returns endings that nobody asked for */
  stop(): Promise<string[]>
}

/** Two web processes and two workers, as an installation runs them; what they print goes to the file `log`. */
export async function startFleet(settings: Record<string, string>, ports: number[], log: string): Promise<Fleet> {
  const file = openSync(log, 'a')
  const programs = [
    ...ports.map((port) => ({ kind: 'web' as const, args: ['server.ts'], env: { PORT: String(port) } })),
    ...[1, 2].map(() => ({ kind: 'worker' as const, args: ['workers/index.ts'], env: {} })),
  ]
  const running = new Map<(typeof programs)[number], ChildProcess>()
  const surprises: string[] = []
  let ending = false
  const begin = async (program: (typeof programs)[number]): Promise<void> => {
    const env = { ...process.env, ...settings, ...program.env, LOG_LEVEL: 'warn' }
    const child = spawn(process.execPath, program.args, { env, stdio: ['ignore', file, file, 'ipc'], detached: true })
    running.set(program, child)
    child.once('exit', (code, signal) => {
      if (ending) return
      if (signal !== 'SIGKILL') surprises.push(`${program.kind} ended with ${code ?? signal}`)
      setTimeout(() => ending || void begin(program), 300)
    })
    await Promise.race([once(child, 'message'), once(child, 'exit')])
  }
  await Promise.all(programs.map(begin))
  return {
    async killUntil(end) {
      const kills = { web: 0, worker: 0 }
      for (;;) {
        await delay(4_000 + Math.random() * 6_000)
        if (Date.now() > end) return kills
        const [program, child] = [...running][Math.floor(Math.random() * running.size)] ?? []
        if (program && child?.kill('SIGKILL')) kills[program.kind] += 1
      }
    },
    async stop() {
      ending = true
      const left = [...running.values()].filter((child) => child.exitCode === null && child.signalCode === null)
      const ended = left.map((child) => once(child, 'exit'))
      for (const child of left) child.kill()
      await Promise.all(ended)
      return surprises
    },
  }
}
