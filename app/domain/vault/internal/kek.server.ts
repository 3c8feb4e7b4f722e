import { argon2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { env } from '#app/platform/env.server.ts'
import { newId } from '#app/platform/ids.ts'
import { dropSingleton, singleton } from '#app/platform/singleton.server.ts'
import { checkValueFields } from './envelope.ts'
import { KEY_BYTES, seal, sodiumReady, unseal } from './sodium.server.ts'

const derive = promisify(argon2)

/** Argon2id cost of a new phrase: 64 MiB, 3 passes (about 0.15 s, once per process). */
const MEMORY_KIB = 65_536
const PASSES = 3
const CHECK_TEXT = Buffer.from('keymargin')

export interface Kek {
  id: string
  bytes: Uint8Array
}

interface KekRow {
  id: string
  salt: Uint8Array
  memoryKib: number
  passes: number
  checkNonce: Uint8Array
  checkSealed: Uint8Array
}

/** phrase → key encryption key. Runs on the thread pool, not on the event loop. */
function deriveKek(phrase: string, row: Pick<KekRow, 'salt' | 'memoryKib' | 'passes'>): Promise<Buffer> {
  return derive('argon2id', {
    message: Buffer.from(phrase, 'utf8'),
    nonce: Buffer.from(row.salt),
    parallelism: 1,
    tagLength: KEY_BYTES,
    memory: row.memoryKib,
    passes: row.passes,
  })
}

/** The KEK of this phrase for this row, or null where the phrase is another one. */
async function tryPhrase(phrase: string, row: KekRow): Promise<Kek | null> {
  const bytes = await deriveKek(phrase, row)
  try {
    unseal({ nonce: row.checkNonce, sealed: row.checkSealed }, bytes, checkValueFields(row.id))
    return { id: row.id, bytes }
  } catch {
    return null
  }
}

async function createKek(tx: Tx, phrase: string): Promise<Kek> {
  const id = newId()
  const row = { salt: randomBytes(16), memoryKib: MEMORY_KIB, passes: PASSES }
  const bytes = await deriveKek(phrase, row)
  const check = seal(CHECK_TEXT, bytes, checkValueFields(id))
  const bytea = (part: Uint8Array) => new Uint8Array(part)
  await tx.kekVersion.create({
    data: { id, ...row, salt: bytea(row.salt), checkNonce: bytea(check.nonce), checkSealed: bytea(check.sealed) },
  })
  return { id, bytes }
}

export interface Keks {
  active: Kek
  all: Map<string, Kek>
}

/**
 * Derives the KEKs of the phrases this process was given; the first phrase is the active one and becomes a new KEK where
 * no stored version answers to it. A phrase that opens nothing while others exist is refused by the caller, which knows
 * whether data keys would be left unreadable.
 */
async function openKeks(): Promise<Keks> {
  await sodiumReady
  const phrases = [env().secretsPhrase, env().secretsPhrasePrevious].filter((phrase) => phrase !== undefined)
  return inSystem(async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM (SELECT pg_advisory_xact_lock(7304, 1)) AS locked`
    const rows = await tx.kekVersion.findMany({ orderBy: { createdAt: 'asc' } })
    const all = new Map<string, Kek>()
    let active: Kek | null = null
    for (const phrase of phrases) {
      for (const row of rows) {
        const kek = all.get(row.id) ?? (await tryPhrase(phrase, row))
        if (!kek) continue
        all.set(kek.id, kek)
        if (phrase === phrases[0]) active ??= kek
      }
    }
    if (!active) {
      // A mistyped phrase must not silently start a second world beside the keys it cannot open.
      if (rows.length && !all.size) {
        throw new Error(
          'SECRETS_PHRASE_FILE: this phrase does not open the keys stored in this database. Restore the right phrase, or give the old one as SECRETS_PHRASE_PREVIOUS_FILE to rotate.',
        )
      }
      active = await createKek(tx, phrases[0] as string)
      all.set(active.id, active)
    }
    return { active, all }
  })
}

/** This process's KEKs, derived once. */
export const keks = (): Promise<Keks> =>
  singleton('keks', () =>
    openKeks().catch((error) => {
      dropSingleton('keks')
      throw error
    }),
  )

/** @throws Error where a stored id names a KEK whose phrase this process was not given: fail closed */
export async function kekById(id: string): Promise<Kek> {
  const kek = (await keks()).all.get(id)
  if (!kek) throw new Error(`no phrase for KEK ${id}`)
  return kek
}
