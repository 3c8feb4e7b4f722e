import { fetchBalance, type KeyBalance } from '#app/domain/providers/balance.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { openProviderKey } from './open-provider-key.server.ts'

export interface BalanceChange {
  workspaceId: string
  keyId: string
  provider: string
  hint: string
  /** Whether the low-balance notice stands. */
  low: boolean
  before: KeyBalance | null
  after: KeyBalance
}

/**
 * Asks what is left to spend under a key, and stores it with its time. The caller decides what a low one means.
 * @returns null where the key is gone or disabled, or where its provider tells nothing or could not be asked
 */
export async function pollKeyBalance(
  { workspaceId, keyId }: { workspaceId: string; keyId: string },
  at: Date,
): Promise<BalanceChange | null> {
  const row = await inSystem((tx) =>
    tx.providerKey.findUnique({ where: { workspaceId_id: { workspaceId, id: keyId } } }),
  )
  if (!row?.enabled) return null
  const after = await fetchBalance(await openProviderKey({ workspaceId, keyId, keyVersion: row.version }))
  if (!after) return null
  const { count } = await inSystem((tx) =>
    tx.providerKey.updateMany({
      where: { workspaceId, id: keyId, version: row.version },
      data: { balanceKind: after.kind, balanceUsd: after.usd, balanceAt: at },
    }),
  )
  if (!count) return null
  const kind = row.balanceKind as KeyBalance['kind'] | null
  const before = kind && { kind, usd: row.balanceUsd?.toFixed() ?? null }
  return { workspaceId, keyId, provider: row.provider, hint: row.hint, low: row.balanceLow, before, after }
}
