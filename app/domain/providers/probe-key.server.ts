import { LosslessNumber } from 'lossless-json'
import type { Credential } from './credential.ts'
import { askProvider, type TextReply } from './internal/ask-provider.server.ts'
import { providerOf } from './registry.ts'
import { parseLossless } from './usage.ts'

/**
 * What the provider says of a key. Only `invalid` and `management` block a save; `unverified` means that the provider
 * could not be asked, which is not the key's fault (providers §0.1).
 */
export interface KeyProbe {
  outcome: 'valid' | 'invalid' | 'restricted' | 'unverified' | 'management'
  /** Stable code for logs and tests. */
  reason:
    | 'accepted'
    | 'refused'
    | 'management_key'
    | 'rate_limited'
    | 'provider_error'
    | 'timeout'
    | 'unreachable'
    | 'unexpected_reply'
  /** What is left of the key's own limit, exact decimal text in USD; null: no limit. Absent unless valid. */
  limitRemainingUsd?: string | null
}

const probeTimeoutMs = 10_000

const unverified = (reason: KeyProbe['reason']): KeyProbe => ({ outcome: 'unverified', reason })

function readKeyData(text: string): KeyProbe {
  const reply = parseLossless(text) as { data?: Record<string, unknown> } | undefined
  const data = reply?.data
  if (typeof data !== 'object' || data === null || !('limit' in data)) return unverified('unexpected_reply')
  if (data.is_management_key === true || data.is_provisioning_key === true)
    return { outcome: 'management', reason: 'management_key' }
  const left = data.limit_remaining
  return { outcome: 'valid', reason: 'accepted', limitRemainingUsd: left instanceof LosslessNumber ? left.value : null }
}

function judge(reply: TextReply): KeyProbe {
  if (reply.kind !== 'answered') return unverified(reply.kind)
  if (reply.status === 200) return readKeyData(reply.text)
  if (reply.status === 401) return { outcome: 'invalid', reason: 'refused' }
  if (reply.status === 429) return unverified('rate_limited')
  return unverified(reply.status >= 500 ? 'provider_error' : 'unexpected_reply')
}

/**
 * Asks the provider whether a key is alive, with the cheapest request that proves it: `GET /key` at OpenRouter, whose
 * `/models` is public and proves nothing. Never throws; nothing in the answer holds any part of the key.
 */
export async function probeKey(credential: Credential, timeoutMs = probeTimeoutMs): Promise<KeyProbe> {
  const row = providerOf(credential.provider)
  return judge(await askProvider(row, credential, { at: { base: null, path: '/key' }, timeoutMs }))
}
