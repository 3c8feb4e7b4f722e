import type { ProbeReason } from '../probe-reasons.ts'
import type { KeyReplyReader, Provider } from '../provider.ts'
import { exactDecimal, isSpent, subtractDecimals } from './exact-decimal.ts'
import { type Json, objectAt, readObject } from './json-reply.ts'

/** What is left to spend, exact decimal text in USD: of the key's own limit, or of the account. */
export interface KeyBalance {
  kind: 'key_limit' | 'account' | 'no_limit'
  usd: string | null
}

/** How a probe ends. `field`: the member of the credential that is wrong. */
export interface Verdict {
  outcome: 'valid' | 'invalid' | 'restricted' | 'unverified' | 'management'
  reason: ProbeReason
  field?: string
  balance?: KeyBalance
}

export const valid: Verdict = { outcome: 'valid', reason: 'accepted' }
export const invalid = (reason: ProbeReason, field?: string): Verdict => ({ outcome: 'invalid', reason, field })
export const restricted = (reason: ProbeReason): Verdict => ({ outcome: 'restricted', reason })
export const unverified = (reason: ProbeReason): Verdict => ({ outcome: 'unverified', reason })

const account = (usd: string | null): KeyBalance | null => (usd === null ? null : { kind: 'account', usd })

type BalanceReader = NonNullable<Provider['balance']>['read']

function deepseekBalance(reply: Json): KeyBalance | null {
  const infos = Array.isArray(reply.balance_infos) ? (reply.balance_infos as Json[]) : []
  return account(exactDecimal(infos.find((info) => info?.currency === 'USD')?.total_balance))
}

function openrouterBalance(reply: Json): KeyBalance | null {
  const data = objectAt(reply, 'data')
  if (!('limit' in data)) return null
  if (data.limit === null || data.limit_remaining === null) return { kind: 'no_limit', usd: null }
  const usd = exactDecimal(data.limit_remaining)
  return usd === null ? null : { kind: 'key_limit', usd }
}

const balanceReaders: Record<BalanceReader, (reply: Json) => KeyBalance | null> = {
  openrouter: openrouterBalance,
  crof: (reply) => account(exactDecimal(reply.credits)),
  chutes: (reply) => account(exactDecimal(reply.balance)),
  vercel: (reply) => account(exactDecimal(reply.balance)),
  // in units of 0.0001 USD
  novita: (reply) => account(exactDecimal(reply.availableBalance, -4)),
  deepseek: deepseekBalance,
}

/** What a provider's reply says is left to spend; null where it says nothing that can be understood. */
export const readBalance = (read: BalanceReader, text: string): KeyBalance | null =>
  balanceReaders[read](readObject(text))

/** The reply of OpenRouter's `GET /credits`: what the account was given, less what it used. */
export function readCredits(text: string): KeyBalance | null {
  const data = objectAt(readObject(text), 'data')
  return account(subtractDecimals(data.total_credits, data.total_usage))
}

const withBalance = (balance: KeyBalance | null): Verdict =>
  balance?.usd && isSpent(balance.usd)
    ? { ...valid, reason: 'no_credit', balance }
    : { ...valid, ...(balance ? { balance } : {}) }

const has = (reply: Json, ...names: string[]): boolean => names.some((name) => name in reply)

function readXai(reply: Json): Verdict {
  if (reply.api_key_blocked === true || reply.api_key_disabled === true || reply.team_blocked === true)
    return invalid('blocked')
  return has(reply, 'api_key_blocked', 'acls', 'redacted_api_key', 'name') ? valid : unverified('unexpected_reply')
}

function readOpenRouter(text: string): Verdict {
  const reply = readObject(text)
  const data = objectAt(reply, 'data')
  if (!('limit' in data)) return unverified('unexpected_reply')
  if (data.is_management_key === true || data.is_provisioning_key === true)
    return { outcome: 'management', reason: 'management_key' }
  return withBalance(openrouterBalance(reply))
}

/** A reply that must hold one of its documented members: a page in front of the provider answers 200 to anything. */
const balanceReply =
  (read: BalanceReader, ...members: string[]) =>
  (text: string): Verdict => {
    const reply = readObject(text)
    return has(reply, ...members) ? withBalance(balanceReaders[read](reply)) : unverified('unexpected_reply')
  }

function readDeepSeek(text: string): Verdict {
  const reply = readObject(text)
  if (!has(reply, 'is_available')) return unverified('unexpected_reply')
  const balance = deepseekBalance(reply)
  if (reply.is_available === false) return { ...valid, reason: 'no_credit', ...(balance ? { balance } : {}) }
  return withBalance(balance)
}

/** Readers of the reply with status 200. */
export const okReaders: Record<KeyReplyReader, (text: string) => Verdict> = {
  openrouter: readOpenRouter,
  crof: balanceReply('crof', 'credits', 'usable_requests'),
  chutes: balanceReply('chutes', 'balance', 'user_id', 'username'),
  vercel: balanceReply('vercel', 'balance'),
  novita: balanceReply('novita', 'availableBalance'),
  deepseek: readDeepSeek,
  xai: (text) => readXai(readObject(text)),
  google: (text) => ('models' in readObject(text) ? valid : unverified('unexpected_reply')),
  nvidia: (text) => (text.trimStart().startsWith('{') ? valid : unverified('unexpected_reply')),
  sts: (text) => (/GetCallerIdentity(?:Result|Response)/.test(text) ? valid : unverified('unexpected_reply')),
  azure: (text) => ('data' in readObject(text) ? valid : unverified('unexpected_reply')),
}
