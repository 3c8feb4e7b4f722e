import { createHash } from 'node:crypto'
import { addDecimals, atLeast, remaining } from './decimal.ts'

/** What the sandbox knows of one key. Money is decimal text in USD. */
export interface KeyState {
  /** sha256 of the key in hex; the key itself is never kept. */
  fingerprint: string
  /** Whose generations the key may read. Two keys of one account share it. */
  account: string
  label: string
  live: boolean
  management: boolean
  /** The account has no credit: every completion is a 402. */
  empty: boolean
  limit: string | null
  usage: string
  /** Milliseconds `GET /key` waits. */
  probeDelayMs: number
  /** Status `GET /key` answers instead of its usual reply. */
  probeStatus: number | null
  /** Milliseconds between stream chunks for this key. */
  gapMs: number
}

const format = /^sk-or-v1-[A-Za-z0-9_-]{4,200}$/

export const fingerprintOf = (key: string): string => createHash('sha256').update(key).digest('hex')

function freshState(key: string, fingerprint: string): KeyState {
  return {
    fingerprint,
    account: fingerprint,
    label: `${key.slice(0, 12)}...${key.slice(-3)}`,
    live: !key.includes('revoked'),
    management: key.includes('mgmt'),
    empty: key.includes('empty'),
    limit: key.includes('limited') ? '10' : null,
    usage: '0',
    probeDelayMs: key.includes('slow') ? 20_000 : 0,
    probeStatus: key.includes('broken') ? 503 : key.includes('busy') ? 429 : null,
    gapMs: key.includes('slow') ? 200 : 0,
  }
}

/** All keys seen so far. A well-formed key exists from the first time it is shown; its text decides how it starts out. */
export class KeyRing {
  readonly states = new Map<string, KeyState>()

  /** The state of a bearer value, or undefined when it cannot be a key. */
  find(key: string): KeyState | undefined {
    const fingerprint = fingerprintOf(key)
    const known = this.states.get(fingerprint)
    if (known) return known
    if (!format.test(key)) return undefined
    const state = freshState(key, fingerprint)
    this.states.set(fingerprint, state)
    return state
  }

  change(keyOrFingerprint: string, change: Partial<KeyState>): KeyState | undefined {
    const state = this.states.get(keyOrFingerprint) ?? this.find(keyOrFingerprint)
    if (state) Object.assign(state, change)
    return state
  }
}

export const spend = (state: KeyState, cost: string): void => {
  state.usage = addDecimals(state.usage, cost)
}

/** Why a completion is refused for money: `error.metadata.limit_source` of a 402 (providers §1.4). */
export function outOfMoney(state: KeyState): 'openrouter_credits' | 'openrouter_key_limit' | null {
  if (state.empty) return 'openrouter_credits'
  if (state.limit !== null && atLeast(state.usage, state.limit)) return 'openrouter_key_limit'
  return null
}

export const limitRemaining = (state: KeyState): string | null =>
  state.limit === null ? null : remaining(state.limit, state.usage)
