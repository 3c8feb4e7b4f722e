import { hostname } from 'node:os'
import { systemPool } from '#app/platform/db.server.ts'
import { env } from '#app/platform/env.server.ts'
import { log } from '#app/platform/log.server.ts'

/** How often a process says that it lives, and after how much silence it counts as dead. */
const BEAT_MS = 5_000
export const SILENCE_MAX_S = 60

export interface Heartbeat {
  stop(): Promise<void>
}

const beat = (kind: 'web' | 'worker') =>
  systemPool().query(
    `INSERT INTO process_heartbeats (process_id, kind, host, started_at, seen_at) VALUES ($1, $2, $3, now(), now())
     ON CONFLICT (process_id) DO UPDATE SET seen_at = now()`,
    [env().processId, kind, hostname()],
  )

/**
 * Says every five seconds that this process lives. Jobs and attempts of one that falls silent are taken over; one that
 * stops in order says so by removing its row.
 */
export async function startHeartbeat(kind: 'web' | 'worker'): Promise<Heartbeat> {
  await beat(kind)
  const timer = setInterval(() => {
    beat(kind).catch((error: Error) => log.warn({ reason: error.message }, 'heartbeat not written'))
  }, BEAT_MS)
  timer.unref()
  return {
    async stop() {
      clearInterval(timer)
      await systemPool().query('DELETE FROM process_heartbeats WHERE process_id = $1', [env().processId])
    },
  }
}
