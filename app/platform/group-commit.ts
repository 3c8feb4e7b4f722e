interface Waiting<T, R> {
  item: T
  resolve: (result: R) => void
  reject: (error: unknown) => void
}

/**
 * Shares round trips without a timer: when nothing is under way the first item goes at once, and whatever arrives while a
 * group is under way is the next group. So one caller never waits for company, and a thousand share one commit.
 *
 * `run` answers one result per item, in order. A group that fails is tried again item by item, so that one bad item
 * cannot fail its neighbours; `run` must therefore be safe to repeat. Where `blames` says that no item is at fault (the
 * database is away), all fail at once: hundreds of tries, one after the other, would hold everybody up for their sum.
 *
 * What waits is bounded: a database that takes statements and does not answer holds each group for a minute, and with whoever
 * waits for his turn waits all that he came with, until the process has no memory left.
 */
export class GroupCommit<T, R> {
  readonly #run: (items: T[]) => Promise<R[]>
  readonly #largest: number
  readonly #lanes: number
  readonly #mostWaiting: number
  readonly #blames: (error: unknown) => boolean
  #queue: Waiting<T, R>[] = []
  #flying = 0
  #scheduled = false

  /** `mostWaiting`: items. `lanes`: groups under way at the same time. One makes the largest groups and so the least work; more hide a slow disk. */
  constructor(
    run: (items: T[]) => Promise<R[]>,
    {
      largest = 500,
      lanes = 1,
      mostWaiting = 10_000,
      blames = () => true,
    }: { largest?: number; lanes?: number; mostWaiting?: number; blames?: (error: unknown) => boolean } = {},
  ) {
    this.#run = run
    this.#largest = largest
    this.#lanes = lanes
    this.#mostWaiting = mostWaiting
    this.#blames = blames
  }

  /** @throws Error at once where too many wait; what `run` throws */
  add(item: T): Promise<R> {
    if (this.#queue.length >= this.#mostWaiting) return Promise.reject(new Error('too much waits for the database'))
    return new Promise<R>((resolve, reject) => {
      this.#queue.push({ item, resolve, reject })
      this.#schedule()
    })
  }

  /** Items that wait or are under way. */
  get pending(): number {
    return this.#queue.length + this.#flying
  }

  /** Resolves when nothing waits or is under way. */
  async idle(): Promise<void> {
    while (this.pending > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  // One turn of the event loop, not a delay: everything the sockets delivered in this turn joins the group.
  #schedule(): void {
    if (this.#scheduled || this.#flying >= this.#lanes) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      void this.#fly()
    })
  }

  async #fly(): Promise<void> {
    const group = this.#queue.splice(0, this.#largest)
    if (group.length === 0) return
    this.#flying += 1
    await this.#commit(group)
    this.#flying -= 1
    if (this.#queue.length > 0) this.#schedule()
  }

  async #commit(group: Waiting<T, R>[]): Promise<void> {
    try {
      const results = await this.#run(group.map((waiting) => waiting.item))
      for (const [index, waiting] of group.entries()) waiting.resolve(results[index] as R)
    } catch (error) {
      if (group.length === 1 || !this.#blames(error)) for (const waiting of group) waiting.reject(error)
      else for (const waiting of group) await this.#commit([waiting])
    }
  }
}
