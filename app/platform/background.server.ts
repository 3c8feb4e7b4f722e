import { singleton } from './singleton.server.ts'

interface Background {
  /** Work under way that nobody waits for. */
  works: Set<Promise<unknown>>
  /** What brings gathered work to its end now. */
  ends: Set<() => Promise<unknown>>
}

const background = () => singleton<Background>('background', () => ({ works: new Set(), ends: new Set() }))

/** How long a process that ends waits for such work, in ms: a database that went silent must not keep it alive. */
const endMs = 5_000

/**
 * Work that nobody waits for while the process lives: it is waited for before the database is closed. Left to itself it
 * would be lost with the process, or open a pool anew behind the one that was closed. Its failure is its own affair.
 */
export function inBackground(work: Promise<unknown>): void {
  const { works } = background()
  works.add(work)
  const over = () => works.delete(work)
  work.then(over, over)
}

/** For what gathers work and does it later: `end` does what waits, and resolves when nothing is under way. */
export function endsWithProcess(end: () => Promise<unknown>): void {
  background().ends.add(end)
}

/** Waits until nothing is under way in the background, for at most `ms`. */
export async function endBackground(ms = endMs): Promise<void> {
  const { works, ends } = background()
  let timer: NodeJS.Timeout | undefined
  let isLate = false
  const tooLong = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      isLate = true // what ends after that must begin nothing: the database is closed
      resolve()
    }, ms)
  })
  const allOver = async () => {
    do await Promise.allSettled([...works, ...[...ends].map((end) => end())])
    while (works.size > 0 && !isLate)
  }
  await Promise.race([allOver(), tooLong])
  clearTimeout(timer)
}
