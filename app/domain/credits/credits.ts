import type { Pico } from '#app/platform/pico.ts'

export type GrantKind = 'monthly' | 'purchased' | 'promotional'

export const grantKindNames: Record<GrantKind, string> = {
  monthly: 'Monthly, from the plan',
  purchased: 'Bought',
  promotional: 'Given by us',
}

/** What moved: into a grant, out of it, or back. */
export type TransferKind = 'grant' | 'hold' | 'settle' | 'release' | 'expire' | 'draw'

/** Subscriptions that a month's credits are granted under; null: the workspace is not sold through Stripe. */
const paying = new Set<string | null>([null, 'active', 'trialing', 'past_due'])

/** Whether a subscription entitles to what its plan brings, now. `past_due` does, until Stripe gives up (stripe §2.7). */
export const isSubscriptionActive = (status: string | null): boolean => paying.has(status)

/**
 * What a workspace gets of its plan's monthly credits: the plan's amount, less what this month's earlier plans brought already.
 * So a month brings as much as its dearest plan does, and going to and fro between plans brings nothing more.
 */
export const monthlyGrantPico = (planPico: Pico, grantedPico: Pico): Pico =>
  planPico > grantedPico ? planPico - grantedPico : 0n

interface Judged {
  /** The workspace was told, and its credits have not risen again since. */
  low: boolean
  thresholdPico: Pico
  availablePico: Pico
}

/**
 * What a balance does to the notice of low credits. `raise`: it fell below the threshold. `resolve`: it stands at 1.25 times
 * the threshold or above again. Between the two nothing changes, so that a balance that swings around it is told once. A
 * threshold of 0 asks for silence.
 */
export function judgeCredits({ low, thresholdPico, availablePico }: Judged): 'raise' | 'resolve' | 'leave' {
  if (!low) return availablePico < thresholdPico ? 'raise' : 'leave'
  return availablePico * 4n >= thresholdPico * 5n ? 'resolve' : 'leave'
}
