import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '../..')

export interface RunningChild {
  process: ChildProcess
  /** Asks it to end in order and waits until it has. */
  stop(): Promise<void>
}

/**
 * Starts one of our own programs and waits until it says that it is ready. In a process group of its own: Ctrl-C in the
 * terminal reaches the parent only, which then stops all in order.
 */
export function startChild(args: string[], settings: Record<string, string>): Promise<RunningChild> {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...settings },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${args.join(' ')} ended with ${code} before it was ready`)))
    child.once('message', () =>
      resolve({
        process: child,
        async stop() {
          if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
          await ended
        },
      }),
    )
  })
}
