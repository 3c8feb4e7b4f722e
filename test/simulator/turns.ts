import type { Random } from './random.ts'

/** A process of the simulated system: killed, it does nothing more. */
export interface Process {
  id: string
  alive: boolean
}

/** What a process feels when it is killed: whatever it was waiting for never comes. */
export class Killed extends Error {}

interface Waiting {
  process: Process
  resolve: () => void
  reject: (reason: Error) => void
}

/**
 * Lets tasks take turns, in an order that the seed decides. A task waits for its turn before everything that touches the world;
 * between two turns it runs alone. So every interleaving, and every moment to be killed at, is one that some seed plays.
 */
export class Turns {
  readonly #random: Random
  readonly #waiting: Waiting[] = []
  #running = 0
  /** Kills per thousand turns; 0 once the faults are over. */
  killRate = 0
  /** Called before each turn: time passes. */
  onTurn: () => void = () => {}

  constructor(random: Random) {
    this.#random = random
  }

  turn(process: Process): Promise<void> {
    if (!process.alive) return Promise.reject(new Killed(process.id))
    return new Promise((resolve, reject) => this.#waiting.push({ process, resolve, reject }))
  }

  start(task: () => Promise<void>): void {
    this.#running += 1
    task().then(
      () => {
        this.#running -= 1
      },
      (error: unknown) => {
        this.#running -= 1
        if (!(error instanceof Killed)) this.#failure ??= error
      },
    )
  }

  #failure: unknown

  kill(process: Process): void {
    process.alive = false
    for (let at = this.#waiting.length - 1; at >= 0; at -= 1)
      if (this.#waiting[at]?.process === process) this.#waiting.splice(at, 1)[0]?.reject(new Killed(process.id))
  }

  /** Plays until every task is over. @throws what a task threw, other than that it was killed */
  async play(): Promise<void> {
    while (this.#running > 0) {
      if (this.#failure) throw this.#failure
      const { length } = this.#waiting
      if (length === 0) {
        await null
        continue
      }
      const at = this.#random.below(length)
      const chosen = this.#waiting[at] as Waiting
      if (this.killRate > 0 && this.#random.chance(this.killRate)) {
        this.kill(chosen.process)
        continue
      }
      this.#waiting.splice(at, 1)
      this.onTurn()
      chosen.resolve()
      await null
    }
    if (this.#failure) throw this.#failure
  }
}
