/** The fault plan: what goes wrong, at which call of which operation, before or after the work was done (stripe §1.5 rule 5). */

export type FaultEffect =
  /** 429 `rate_limit`, account-wide: nothing is stored under the key. */
  | 'rate_limit'
  /** 429 `lock_timeout`: stored, so every retry with the same key gets it again (stripe §4 case 10). */
  | 'lock_timeout'
  /** 500. Before execution nothing is stored; after it, the 500 is what the key replays (case 11). */
  | 'server_error'
  /** 409 `idempotency_key_in_use`. */
  | 'conflict'
  /** A proxy's 404 whose body lacks `error`: the SDK resolves with it (case 14). */
  | 'not_found_without_error'
  /** The connection stays open and nothing is answered. */
  | 'timeout'
  | 'socket_close'
  /** The true answer cut in half. */
  | 'malformed_json'
  /** The true answer, `delayMs` late, or when `until` has come about; the key is in use meanwhile. */
  | 'slow'

export interface FaultRule {
  /** `invoices.create`, or `*` for all operations together. */
  operation: string
  /** The first call hit, counted from 1 since the rule was added. Default 1. */
  nth?: number
  /** How many calls in a row are hit. Default 1. */
  times?: number
  when: 'before' | 'after'
  effect: FaultEffect
  delayMs?: number
  /** In-process only: runs when the fault strikes, before its effect. A test kills the writer here. */
  onHit?: () => void
  /** In-process only: what a slow answer waits for. Asked when the fault strikes. */
  until?: () => Promise<unknown>
}

export class FaultPlan {
  #rules: (FaultRule & { seen: number })[] = []

  add(rule: FaultRule): void {
    this.#rules.push({ ...rule, seen: 0 })
  }

  clear(): void {
    this.#rules = []
  }

  /** Counts one call and says which fault strikes it, if any. */
  strike(operation: string): FaultRule | undefined {
    let struck: FaultRule | undefined
    for (const rule of this.#rules) {
      if (rule.operation !== '*' && rule.operation !== operation) continue
      rule.seen += 1
      const first = rule.nth ?? 1
      if (rule.seen >= first && rule.seen < first + (rule.times ?? 1)) struck ??= rule
    }
    return struck
  }
}
