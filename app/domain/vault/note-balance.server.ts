import { raiseNotice, resolveNotices } from '#app/domain/notifications/notices.server.ts'
import type { KeyBalance } from '#app/domain/providers/balance.server.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import type { Tx } from '#app/platform/db.server.ts'
import { displayUsd, parsePico } from '#app/platform/pico.ts'
import { judgeBalance } from './low-balance.ts'

/** Notices about one key; their reference is its id. */
const kinds = { low: 'low_balance', refused: 'payment_required' } as const

interface NotedBalance {
  workspaceId: string
  keyId: string
  keyVersion: number
  balance: KeyBalance
  at: Date
}

interface KeyRow {
  provider: ProviderId
  hint: string
  low: boolean
  threshold: string
}

/** Exact: what is left is never rounded up to what it is less than. */
const shown = (usd: string): string => displayUsd(parsePico(usd) ?? 0n, 2, 12)

const ofWhat = (kind: KeyBalance['kind']): string => (kind === 'account' ? 'in the account' : 'of its limit')

function lowBalanceNotice({ workspaceId, keyId, balance, at }: NotedBalance, row: KeyRow) {
  const { name } = providerOf(row.provider)
  return {
    workspaceId,
    kind: kinds.low,
    reference: keyId,
    title: `A key is low on credit at ${name}`,
    message: `${name} key ${row.hint} has ${shown(balance.usd ?? '0')} left ${ofWhat(balance.kind)}, less than the ${shown(row.threshold)} at which you want to be told. Top it up at ${name}, or calls on it will fail.`,
    path: 'settings/billing',
    at,
  }
}

/**
 * Stores what is left to spend under a key, and raises or resolves the notice about it, in the caller's transaction. The
 * caller holds the workspace's row lock, which all changes of keys take first.
 * @returns false where the key or this version of it is gone
 */
export async function noteBalance(tx: Tx, noted: NotedBalance): Promise<boolean> {
  const { workspaceId, keyId, keyVersion, balance, at } = noted
  const [row] = await tx.$queryRaw<KeyRow[]>`
    SELECT k.provider, k.hint, k.balance_low AS low, w.low_balance_usd::text AS threshold
      FROM provider_keys k JOIN workspaces w ON w.id = k.workspace_id
     WHERE k.workspace_id = ${workspaceId}::uuid AND k.id = ${keyId}::uuid AND k.version = ${keyVersion}`
  if (!row) return false
  const verdict = judgeBalance({ low: row.low, thresholdUsd: row.threshold, balance })
  const balanceLow = verdict === 'leave' ? row.low : verdict === 'raise'
  await tx.providerKey.updateMany({
    where: { workspaceId, id: keyId, version: keyVersion },
    data: { balanceKind: balance.kind, balanceUsd: balance.usd, balanceAt: at, balanceLow },
  })
  if (verdict === 'raise') await raiseNotice(tx, lowBalanceNotice(noted, row))
  if (verdict === 'resolve')
    await resolveNotices(tx, { workspaceId, kinds: Object.values(kinds), reference: keyId, at })
  return true
}

/** A key that was replaced or removed has no notices: what they said was of another secret. */
export const forgetKeyNotices = (tx: Tx, workspaceId: string, keyId: string, at: Date): Promise<void> =>
  resolveNotices(tx, { workspaceId, kinds: Object.values(kinds), reference: keyId, at })
