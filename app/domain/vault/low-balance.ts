import type { KeyBalance } from '#app/domain/providers/balance.server.ts'
import { parseDecimal } from '#app/platform/pico.ts'

/** Digits after the point that are compared: the database keeps no more. */
const scale = 18

export interface BalanceJudged {
  /** Whether the notice of this key stands, or was dismissed while the balance is still low. */
  low: boolean
  /** Exact decimal text, USD. */
  thresholdUsd: string
  balance: KeyBalance
}

/**
 * What a balance does to the notice of its key. `raise`: it fell below the threshold. `resolve`: it stands again at 1.25
 * times the threshold or above, or there is no limit any more. Between the two nothing changes, so that a balance that
 * swings around the threshold is told once (providers §1.4). No limit is no balance: it is never low.
 */
export function judgeBalance({ low, thresholdUsd, balance }: BalanceJudged): 'raise' | 'resolve' | 'leave' {
  const threshold = parseDecimal(thresholdUsd, scale)
  const left = balance.usd === null ? undefined : parseDecimal(balance.usd, scale)
  if (balance.kind === 'no_limit') return low ? 'resolve' : 'leave'
  if (threshold === undefined || left === undefined) return 'leave'
  if (!low) return left < threshold ? 'raise' : 'leave'
  return left * 4n >= threshold * 5n ? 'resolve' : 'leave'
}
