import type { Tx } from '#app/platform/db.server.ts'
import { ensureDataKey, openDataKey } from './data-key.server.ts'
import { credentialFields } from './envelope.ts'
import type { ProviderKeyModel } from './key-row.ts'
import { ALGORITHM, seal, unseal, wipe } from './sodium.server.ts'

const fieldsOf = ({ workspaceId, provider, id, version }: ProviderKeyModel, dataKeyId: string): string[] =>
  credentialFields({ workspaceId, provider, keyId: id, version, dataKeyId }, ALGORITHM)

/**
 * Destroys a workspace's data key, and seals these of its keys anew under a fresh one: nothing that was sealed under the old
 * one opens again. The caller holds the workspace's row lock.
 * @throws Error where one of the keys does not open: nothing is destroyed then
 */
export async function replaceDataKey(tx: Tx, workspaceId: string, kept: ProviderKeyModel[]): Promise<void> {
  const row = await tx.workspaceDataKey.findUnique({ where: { workspaceId } })
  if (row && kept.length === 0) await tx.workspaceDataKey.delete({ where: { workspaceId } })
  if (!row || kept.length === 0) return
  const old = await openDataKey(row)
  await tx.workspaceDataKey.delete({ where: { workspaceId } })
  const fresh = await ensureDataKey(tx, workspaceId)
  try {
    for (const key of kept) {
      const plain = unseal({ nonce: key.nonce, sealed: key.ciphertext }, old.bytes, fieldsOf(key, old.id))
      const box = seal(plain, fresh.bytes, fieldsOf(key, fresh.id))
      wipe(plain)
      const sealed = { nonce: new Uint8Array(box.nonce), ciphertext: new Uint8Array(box.sealed), dataKeyId: fresh.id }
      await tx.providerKey.update({ where: { workspaceId_id: { workspaceId, id: key.id } }, data: sealed })
    }
  } finally {
    wipe(old.bytes)
    wipe(fresh.bytes)
  }
}
