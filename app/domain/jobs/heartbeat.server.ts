import { hostname } from 'node:os'
import { systemPool } from '#app/platform/db.server.ts'
import { env } from '#app/platform/env.server.ts'
import { log } from '#app/platform/log.server.ts'

/** How often a process says that it lives, and after how much silence it counts as dead. */
const BEAT_MS = 5_000
export const SILENCE_MAX_S = 60

export interface Heartbeat {
  /** Beats for this id from now on (a queue worker inside this process). */
  add(id: string): Promise<void>
  remove(id: string): Promise<void>
  stop(): Promise<void>
}

const beat = (kind: 'web' | 'worker', ids: string[]) =>
  systemPool().query(
    `INSERT INTO process_heartbeats (process_id, kind, host, started_at, seen_at) SELECT id, $2, $3, now(), now() FROM unnest($1::text[]) id
     ON CONFLICT (process_id) DO UPDATE SET seen_at = now()`,
    [ids, kind, hostname()],
  )

const forget = (ids: string[]) => systemPool().query('DELETE FROM process_heartbeats WHERE process_id = ANY($1)', [ids])

/**
 * Says every five seconds that this process lives, under its own id and those of its queue workers. Jobs and attempts of
 * one that falls silent are taken over; one that stops in order says so by removing its rows.
 */
export async function startHeartbeat(kind: 'web' | 'worker'): Promise<Heartbeat> {
  const ids = new Set([env().processId])
  await beat(kind, [...ids])
  let beating: Promise<unknown> = Promise.resolve()
  const timer = setInterval(() => {
    beating = beat(kind, [...ids]).catch((error: Error) => log.warn({ reason: error.message }, 'heartbeat not written'))
  }, BEAT_MS)
  timer.unref()
  return {
    async add(id) {
      ids.add(id)
      await beat(kind, [id])
    },
    async remove(id) {
      ids.delete(id)
      await forget([id])
    },
    async stop() {
      clearInterval(timer)
      await beating // one that is under way would bring the rows back
      await forget([...ids])
    },
  }
}
