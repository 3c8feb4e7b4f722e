/** How an attempt to connect OpenRouter ended. Stable: it stands in the address of the page that explains it. */
export type ConnectOutcome =
  | 'connected'
  | 'connected_unverified'
  | 'denied'
  | 'unknown'
  | 'other_session'
  | 'used'
  | 'expired'
  | 'code_expired'
  | 'code_refused'
  | 'unreachable'
  | 'plan_required'
  | 'subscription_paused'
  | 'not_kept'

/** Between the start and the callback, in ms: as long as OpenRouter's own code lives. */
export const FLOW_MAX_MS = 10 * 60_000

const LIMIT = /^(?:0|[1-9]\d{0,5})(?:\.\d{1,2})?$/

/** The limit that a person typed, in USD. @returns null where the field is empty, undefined where it is no amount above 0 */
export function readLimitUsd(typed: string): string | null | undefined {
  const text = typed.trim().replace(/^\$\s*/, '')
  if (text === '') return null
  return LIMIT.test(text) && /[1-9]/.test(text) ? text : undefined
}
