import { inSystem } from '#app/platform/db.server.ts'
import { holdProcessSecret, processSecretNames } from '#app/platform/process-secrets.server.ts'
import { dataKeyFields, processSecretFields } from './internal/envelope.ts'
import { type Keks, keks } from './internal/kek.server.ts'
import { randomKey, seal, unseal, wipe } from './internal/sodium.server.ts'

/** Opens (or makes, once per installation) the random process secrets, re-wrapping those of an older phrase. */
async function openProcessSecrets({ active, all }: Keks): Promise<void> {
  await inSystem(async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM (SELECT pg_advisory_xact_lock(7304, 2)) AS locked`
    for (const name of processSecretNames) {
      const row = await tx.processSecret.findUnique({ where: { name } })
      const kek = row && all.get(row.kekId)
      if (row && !kek) throw new Error(`process secret ${name} is sealed under a phrase this process was not given`)
      const bytes = row && kek ? unseal(row, kek.bytes, processSecretFields(name, kek.id)) : randomKey()
      if (row?.kekId !== active.id) {
        const box = seal(bytes, active.bytes, processSecretFields(name, active.id))
        const data = { kekId: active.id, nonce: new Uint8Array(box.nonce), sealed: new Uint8Array(box.sealed) }
        await tx.processSecret.upsert({ where: { name }, create: { name, ...data }, update: data })
      }
      holdProcessSecret(name, bytes)
    }
  })
}

/** Data keys still wrapped by an older phrase, re-wrapped under the active one in batches. Ciphertexts stay untouched. */
export async function rewrapDataKeys(): Promise<number> {
  const { active, all } = await keks()
  let rewrapped = 0
  for (;;) {
    const done = await inSystem(async (tx) => {
      const rows = await tx.$queryRaw<
        { workspaceId: string; id: string; kekId: string; nonce: Uint8Array; sealed: Uint8Array }[]
      >`
        SELECT workspace_id::text AS "workspaceId", id::text, kek_id::text AS "kekId", nonce, sealed FROM workspace_data_keys
        WHERE kek_id <> ${active.id}::uuid ORDER BY workspace_id LIMIT 100 FOR UPDATE SKIP LOCKED`
      for (const row of rows) {
        const kek = all.get(row.kekId)
        if (!kek) throw new Error(`no phrase for KEK ${row.kekId}`)
        const bytes = unseal(
          row,
          kek.bytes,
          dataKeyFields({ workspaceId: row.workspaceId, dataKeyId: row.id, kekId: row.kekId }),
        )
        const box = seal(
          bytes,
          active.bytes,
          dataKeyFields({ workspaceId: row.workspaceId, dataKeyId: row.id, kekId: active.id }),
        )
        wipe(bytes)
        await tx.workspaceDataKey.updateMany({
          where: { workspaceId: row.workspaceId, kekId: row.kekId },
          data: { kekId: active.id, nonce: new Uint8Array(box.nonce), sealed: new Uint8Array(box.sealed) },
        })
      }
      return rows.length
    })
    rewrapped += done
    if (done === 0) return rewrapped
  }
}

/**
 * Derives the key encryption key and opens the process secrets. Once per process, before anything is served.
 * @throws Error where the phrase is not the one that sealed this database: fail closed
 */
export async function openVault(): Promise<void> {
  await openProcessSecrets(await keks())
}

/** Ids of the KEKs whose phrases this process holds. */
export const knownKekIds = async (): Promise<string[]> => [...(await keks()).all.keys()]
