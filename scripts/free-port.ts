import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Whether nobody listens on this port of 127.0.0.1. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    )
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}

/** What this process gave away and nobody may listen on yet. */
const given = new Set<number>()

/**
 * A port that is free, for a program that listens on it later. Systems give the ports above these to whoever asks for any, and to
 * every connection that goes out: one of those could be taken again before the program is up.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(15_000, 30_000)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
}
