import { log } from './log.server.ts'

/** Gives what follows so many ms. When they are over, the process ends whatever it waits for. */
export type Within = (ms: number) => void

/**
 * Ends this process in order when it is told to, by a signal or by its parent's end. Told again meanwhile, it goes on with what
 * it began: terminals and supervisors tell twice, and a second signal left to itself would cut off what is being waited for.
 * `end` says by `within` how long it may take: a connection that went silent would be waited for for ever. What is cut off then
 * is as after a kill: open attempts are settled by the sweeper, jobs begin again.
 */
export function endInOrder(end: (signal: string, within: Within) => Promise<void>): void {
  let told = false
  let timer: NodeJS.Timeout | undefined
  const exit = (internal: string) => {
    log.error({ internal }, 'did not end in order')
    process.exit(1)
  }
  const within: Within = (ms) => {
    clearTimeout(timer)
    timer = setTimeout(exit, ms, 'it took too long')
  }
  const stop = (signal: string) => {
    if (told) return log.info({ signal }, 'told again to end')
    told = true
    end(signal, within).then(
      () => process.exit(0),
      (error: Error) => exit(error.message),
    )
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal))
  process.once('disconnect', () => stop('parent gone'))
}
