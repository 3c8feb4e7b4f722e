import { endsWithProcess } from './background.server.ts'

/**
 * A write that waits a little for more to write, so that a burst is one statement. `write` takes whatever waits when it runs
 * and must not throw. One runs at a time: the next begins after it. What waits is written before the database is closed.
 */
export class LaterWrite {
  #timer: NodeJS.Timeout | null = null
  #underWay: Promise<void> = Promise.resolve()
  readonly #gatherMs: number
  readonly #write: () => Promise<void>

  constructor(gatherMs: number, write: () => Promise<void>) {
    this.#gatherMs = gatherMs
    this.#write = write
    endsWithProcess(() => this.now())
  }

  /** Sees to it that `write` runs within `gatherMs`. Keeps no process alive for it. */
  soon(): void {
    this.#timer ??= setTimeout(() => void this.now(), this.#gatherMs).unref()
  }

  /** Runs `write` now. @returns when it has ended, and one that was under way before it too: a process may then close its database */
  now(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#underWay = this.#underWay.then(this.#write)
    return this.#underWay
  }
}
