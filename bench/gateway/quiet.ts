import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** How much of the machine's time went to whatever, and all of it, in ticks since boot. */
function machineTicks(): { busy: number; all: number } | null {
  try {
    const ticks =
      readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.trim().split(/\s+/).slice(1, 9).map(Number) ?? []
    const all = ticks.reduce((sum, each) => sum + each, 0)
    return { busy: all - (ticks[3] ?? 0) - (ticks[4] ?? 0), all }
  } catch {
    return null
  }
}

const quietShare = 0.1
const lookMs = 250
/** Longest that a whole run waits, in ms: somebody else's endless work must not make it endless too. */
let patienceMs = 90_000

/**
 * Waits until nobody else works on the machine: our own processes rest between two rounds. A time slice of somebody else's
 * is longer than a request, and a path with more hand-overs between processes pays it more often.
 */
export async function waitForQuiet(): Promise<void> {
  for (let before = machineTicks(); before && patienceMs > 0; ) {
    await delay(lookMs)
    patienceMs -= lookMs
    const now = machineTicks()
    if (!now || (now.busy - before.busy) / (now.all - before.all) < quietShare) return
    before = now
  }
}

/** Share of the machine that others had, while we used `ownSeconds` of CPU; NaN where it cannot be read. */
export function watchOthers(): (ownSeconds: number) => number {
  const before = machineTicks()
  return (ownSeconds) => {
    const now = machineTicks()
    if (!before || !now) return Number.NaN
    return Math.max(0, (now.busy - before.busy) / 100 - ownSeconds) / ((now.all - before.all) / 100)
  }
}
