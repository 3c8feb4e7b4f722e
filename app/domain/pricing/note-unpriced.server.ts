import { systemPool } from '#app/platform/db.server.ts'
import { LaterWrite } from '#app/platform/later-write.ts'
import { log } from '#app/platform/log.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'

interface Unpriced {
  provider: string
  model: string
  /** What its price does not hold, in words; empty: it has no price at all. */
  missing: string
  calls: number
  lastAt: Date
}

/** How long notes wait for others: a busy model that nobody priced is one row in one statement. */
const gatherMs = 500

const unpricedNotes = () =>
  singleton('unpriced-models', () => {
    const waiting = new Map<string, Unpriced>()
    return { waiting, later: new LaterWrite(gatherMs, () => write(waiting)) }
  })

async function write(waiting: Map<string, Unpriced>): Promise<void> {
  const rows = [...waiting.values()].sort((a, b) => (`${a.provider} ${a.model}` < `${b.provider} ${b.model}` ? -1 : 1))
  waiting.clear()
  if (rows.length === 0) return
  try {
    await systemPool().query(
      `INSERT INTO unpriced_models AS u (provider, model, calls, first_seen_at, last_seen_at, missing)
       SELECT provider, model, calls, at, at, missing
         FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::text[]) AS n (provider, model, calls, at, missing)
       ON CONFLICT (provider, model) DO UPDATE SET calls = u.calls + excluded.calls,
         last_seen_at = greatest(u.last_seen_at, excluded.last_seen_at), missing = excluded.missing`,
      [
        rows.map((row) => row.provider),
        rows.map((row) => row.model),
        rows.map((row) => row.calls),
        rows.map((row) => row.lastAt),
        rows.map((row) => row.missing),
      ],
    )
  } catch (error) {
    log.warn({ reason: (error as Error).message }, 'unpriced models could not be noted')
  }
}

/** Writes what waits. A failure to write loses the notes and nothing else: the calls say it in the ledger. */
export const flushUnpriced = (): Promise<void> => unpricedNotes().later.now()

/**
 * Puts a model on the operator's list of those that nobody knows the price of, or not all of it: `missing` says what its price
 * does not hold. Returns at once and never throws: the calls themselves say in the ledger that their cost is unknown.
 */
export function noteUnpriced(provider: string, model: string, at: Date, missing = ''): void {
  const held = unpricedNotes()
  const shown = model.slice(0, 200)
  const name = `${provider} ${shown}` // what is written: two notes of one row in a statement would lose all of its notes
  const note = held.waiting.get(name) ?? { provider, model: shown, missing, calls: 0, lastAt: at }
  note.calls += 1
  note.lastAt = at
  note.missing = missing
  held.waiting.set(name, note)
  held.later.soon()
}
