import { fetchBalance } from '#app/domain/providers/balance.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { lockWorkspaceRow } from './entitled-workspace.server.ts'
import { noteBalance } from './note-balance.server.ts'
import { openProviderKey } from './open-provider-key.server.ts'

/**
 * Asks what is left to spend under a key, and stores it with its time; a low one raises the workspace's notice, one that
 * recovered takes it back.
 * @returns whether something was stored: not where the key is gone or disabled, nor where its provider tells nothing or
 *   could not be asked
 */
export async function pollKeyBalance(
  { workspaceId, keyId }: { workspaceId: string; keyId: string },
  at: Date,
): Promise<boolean> {
  const row = await inSystem((tx) =>
    tx.providerKey.findUnique({
      where: { workspaceId_id: { workspaceId, id: keyId } },
      select: { version: true, enabled: true },
    }),
  )
  if (!row?.enabled) return false
  const { version: keyVersion } = row
  const balance = await fetchBalance(await openProviderKey({ workspaceId, keyId, keyVersion }))
  if (!balance) return false
  return inSystem(async (tx) => {
    await lockWorkspaceRow(tx, workspaceId)
    return noteBalance(tx, { workspaceId, keyId, keyVersion, balance, at })
  })
}
