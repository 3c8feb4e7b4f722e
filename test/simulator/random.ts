/** Numbers from a seed: the same seed, the same run (sfc32). */
export class Random {
  #a: number
  #b: number
  #c: number
  #count = 1

  constructor(seed: number) {
    this.#a = seed | 0
    this.#b = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b)
    this.#c = Math.imul(seed + 0x7f4a7c15, 0xc2b2ae35)
    for (let i = 0; i < 12; i += 1) this.#next()
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#count) | 0
    this.#count = (this.#count + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    return this.#next() % limit
  }

  /** Whether something happens that happens `perMille` times in a thousand. */
  chance(perMille: number): boolean {
    return this.below(1_000) < perMille
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }
}
