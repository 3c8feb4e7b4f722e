import { env } from '#app/platform/env.server.ts'
import { askProvider, type TextReply } from './internal/ask-provider.server.ts'
import { objectAt, readObject } from './internal/json-reply.ts'
import { providerOf } from './registry.ts'

const exchangeTimeoutMs = 10_000
const method = 'S256'
/** Codes are short; what is longer or holds anything unprintable is none, and is not sent on. */
const codeFormat = /^[\x21-\x7e]{1,512}$/

/**
 * Where people approve: OpenRouter's own site, also behind a relay, since that stands for its API alone. A sandbox stands
 * for both.
 */
export function connectOrigin(): string {
  const replacement = env().providerBaseUrls.openrouter
  return new URL(env().sandbox && replacement ? replacement : providerOf('openrouter').baseUrl).origin
}

export interface Authorization {
  /** Ours; OpenRouter adds `code` to it. It echoes no `state` (providers §1.1), so the nonce is part of this. */
  callbackUrl: string
  /** base64url of the verifier's SHA-256. */
  challenge: string
  /** What the minted key may spend, decimal text in USD; null: no limit. */
  limitUsd: string | null
}

/** The page of OpenRouter on which the key is approved. */
export function authorizationUrl({ callbackUrl, challenge, limitUsd }: Authorization): string {
  const url = new URL('/auth', connectOrigin())
  url.searchParams.set('callback_url', callbackUrl)
  url.searchParams.set('code_challenge', challenge)
  url.searchParams.set('code_challenge_method', method)
  if (limitUsd !== null) url.searchParams.set('limit', limitUsd)
  return url.href
}

/**
 * `away`: whether a key was minted is not known. The key is a secret like any other from here on.
 */
export type CodeExchange =
  | { kind: 'minted'; key: string }
  | { kind: 'refused'; reason: 'invalid' | 'expired' }
  | { kind: 'away'; reason: 'timeout' | 'unreachable' | 'provider_error' | 'unexpected_reply' }

function readExchange(reply: TextReply): CodeExchange {
  if (reply.kind !== 'answered') return { kind: 'away', reason: reply.kind }
  const { status, text } = reply
  if (status === 200) {
    const { key } = readObject(text)
    return typeof key === 'string' ? { kind: 'minted', key } : { kind: 'away', reason: 'unexpected_reply' }
  }
  if (status === 403) {
    const { message } = objectAt(readObject(text), 'error')
    return { kind: 'refused', reason: /expired/i.test(String(message)) ? 'expired' : 'invalid' }
  }
  return { kind: 'away', reason: status >= 500 || status === 429 ? 'provider_error' : 'unexpected_reply' }
}

/** Exchanges an approved code for the key, once: a code works one time, so there is nothing to try again. Never throws. */
export async function exchangeCode(
  { code, verifier }: { code: string; verifier: string },
  timeoutMs = exchangeTimeoutMs,
): Promise<CodeExchange> {
  if (!codeFormat.test(code)) return { kind: 'refused', reason: 'invalid' }
  const json = { code, code_verifier: verifier, code_challenge_method: method }
  const at = { base: null, path: '/auth/keys' }
  return readExchange(await askProvider(providerOf('openrouter'), null, { at, json, timeoutMs }))
}
