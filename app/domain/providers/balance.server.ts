import type { Credential } from './credential.ts'
import { askProvider } from './internal/ask-provider.server.ts'
import { type KeyBalance, readBalance, readCredits } from './internal/key-replies.ts'
import { providerOf } from './registry.ts'

export type { KeyBalance } from './internal/key-replies.ts'

const balanceTimeoutMs = 10_000

/**
 * What is left to spend: of the account where the provider tells it (at OpenRouter to a management key only), else of the
 * key's own limit; `no_limit` where the key has none, which is no balance. Null where the provider tells nothing, or could
 * not be asked. Never throws.
 */
export async function fetchBalance(credential: Credential, timeoutMs = balanceTimeoutMs): Promise<KeyBalance | null> {
  const row = providerOf(credential.provider)
  if (!row.balance) return null
  if (credential.managementKey) {
    const alone: Credential = { ...credential, apiKey: credential.managementKey }
    const reply = await askProvider(row, alone, { at: { base: null, path: '/credits' }, timeoutMs })
    const account = reply.kind === 'answered' && reply.status === 200 ? readCredits(reply.text) : null
    if (account) return account
  }
  const reply = await askProvider(row, credential, { at: row.balance.at, timeoutMs })
  return reply.kind === 'answered' && reply.status === 200 ? readBalance(row.balance.read, reply.text) : null
}
