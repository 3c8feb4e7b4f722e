import type { Tx } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { dataKeyFields } from './envelope.ts'
import { kekById, keks } from './kek.server.ts'
import { randomKey, seal, unseal } from './sodium.server.ts'

export interface DataKey {
  id: string
  bytes: Uint8Array
}

interface WrappedDataKey {
  id: string
  workspaceId: string
  kekId: string
  nonce: Uint8Array
  sealed: Uint8Array
}

/** Opens a workspace's data key. The caller wipes the bytes when done. */
export async function openDataKey(row: WrappedDataKey): Promise<DataKey> {
  const kek = await kekById(row.kekId)
  return {
    id: row.id,
    bytes: unseal(row, kek.bytes, dataKeyFields({ workspaceId: row.workspaceId, dataKeyId: row.id, kekId: row.kekId })),
  }
}

/** The workspace's data key, made where there is none. The caller holds the workspace's row lock: one is made, not two. */
export async function ensureDataKey(tx: Tx, workspaceId: string): Promise<DataKey> {
  const found = await tx.workspaceDataKey.findUnique({ where: { workspaceId } })
  if (found) return openDataKey(found)
  const { active } = await keks()
  const id = newId()
  const bytes = randomKey()
  const box = seal(bytes, active.bytes, dataKeyFields({ workspaceId, dataKeyId: id, kekId: active.id }))
  await tx.workspaceDataKey.create({
    data: { workspaceId, id, kekId: active.id, nonce: new Uint8Array(box.nonce), sealed: new Uint8Array(box.sealed) },
  })
  return { id, bytes }
}
