import { systemPool } from '#app/platform/db.server.ts'
import { LaterWrite } from '#app/platform/later-write.ts'
import { log } from '#app/platform/log.server.ts'
import { scrubSecrets } from '#app/platform/secret-patterns.ts'
import { dropSingleton, singleton } from '#app/platform/singleton.server.ts'
import type { KeyReference } from './open-provider-key.server.ts'
import { tellOfPayment } from './tell-of-payment.server.ts'

/** What a call says of the key it went out under. `text` is what the provider said, for people; it is scrubbed and cut here. */
export type KeyHealth = { ok: true } | { ok: false; code: string; text: string }

interface Noted {
  reference: KeyReference
  usedAt: Date | null
  succeededAt: Date | null
  failure: { code: string; text: string; at: Date } | null
}

interface Notes {
  /** Waiting to be written, by key. */
  waiting: Map<string, Noted>
  /** What was written last of each key, and when (monotonic ms): `ok` or an error's code. */
  written: Map<string, { what: string; at: number }>
  later: LaterWrite
}

/** How often the same thing is written of a key. */
const everyMs = 60_000
/** How long a note waits for others, so that a burst is one statement. */
const gatherMs = 500
/** Keys that are remembered; beyond it the memory starts afresh, and some are written once more. */
const mostRemembered = 10_000
const longestText = 300

const notes = (): Notes =>
  singleton('key-health', () => {
    const held: Notes = {
      waiting: new Map(),
      written: new Map(),
      later: new LaterWrite(gatherMs, () => writeWaiting(held)),
    }
    return held
  })

const nameOf = ({ keyId, keyVersion }: KeyReference) => `${keyId} ${keyVersion}`

/** One statement for all keys: a version that was replaced meanwhile is not written to. An error goes when the key works again. */
async function write(noted: Noted[]): Promise<void> {
  const column = <T>(pick: (note: Noted) => T) => noted.map(pick)
  await systemPool().query(
    `UPDATE provider_keys k SET
       last_used_at = greatest(k.last_used_at, n.used_at), last_success_at = greatest(k.last_success_at, n.succeeded_at),
       last_error_code = CASE WHEN n.code IS NOT NULL THEN n.code WHEN n.succeeded_at IS NOT NULL THEN NULL ELSE k.last_error_code END,
       last_error_text = CASE WHEN n.code IS NOT NULL THEN n.text WHEN n.succeeded_at IS NOT NULL THEN NULL ELSE k.last_error_text END,
       last_error_at = CASE WHEN n.code IS NOT NULL THEN n.failed_at WHEN n.succeeded_at IS NOT NULL THEN NULL ELSE k.last_error_at END
     FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[], $8::timestamptz[])
       AS n (workspace_id, id, version, used_at, succeeded_at, code, text, failed_at)
     WHERE k.workspace_id = n.workspace_id AND k.id = n.id AND k.version = n.version`,
    [
      column((note) => note.reference.workspaceId),
      column((note) => note.reference.keyId),
      column((note) => note.reference.keyVersion),
      column((note) => note.usedAt),
      column((note) => note.succeededAt),
      column((note) => note.failure?.code ?? null),
      column((note) => note.failure?.text ?? null),
      column((note) => note.failure?.at ?? null),
    ],
  )
}

async function writeWaiting(held: Notes): Promise<void> {
  const noted = [...held.waiting.values()]
  held.waiting.clear()
  if (noted.length === 0) return
  try {
    await write(noted)
    const refused = noted.filter((note) => note.failure?.code === 'payment_required')
    const succeeded = noted.filter((note) => note.failure === null && note.succeededAt !== null)
    const references = (notes: Noted[]) => notes.map((note) => note.reference)
    await tellOfPayment(references(refused), references(succeeded), new Date())
  } catch (error) {
    for (const { reference } of noted) held.written.delete(nameOf(reference))
    log.warn({ reason: (error as Error).message }, 'the health of keys could not be written')
  }
}

/** Writes what waits. A failure to write loses the notes and nothing else: the next calls make new ones. */
export const flushKeyHealth = (): Promise<void> => notes().later.now()

/** Forgets what was written: tests begin anew. */
export const forgetKeyHealth = (): boolean => dropSingleton('key-health')

/**
 * Notes how a call under a saved key ended. Returns at once and never throws; the same news of a key is written at most once
 * a minute, a change within half a second, many keys in one statement.
 */
export function noteKeyHealth(reference: KeyReference, health: KeyHealth): void {
  const held = notes()
  const name = nameOf(reference)
  const what = health.ok ? 'ok' : health.code
  const now = performance.now()
  const last = held.written.get(name)
  if (last && last.what === what && now - last.at < everyMs) return
  if (held.written.size >= mostRemembered) held.written.clear()
  held.written.set(name, { what, at: now })
  const at = new Date()
  const note = held.waiting.get(name) ?? { reference, usedAt: null, succeededAt: null, failure: null }
  note.usedAt = at
  if (health.ok) {
    note.succeededAt = at
    note.failure = null
  } else note.failure = { code: health.code, text: scrubSecrets(health.text).slice(0, longestText), at }
  held.waiting.set(name, note)
  held.later.soon()
}
