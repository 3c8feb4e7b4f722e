import { hostname } from 'node:os'
import { systemPool } from './db.server.ts'
import { env } from './env.server.ts'

/** How often a process says that it lives, and after what silence others take it for dead. Milliseconds. */
const everyMs = 10_000
export const deadAfterMs = 60_000

const beat = `
  INSERT INTO process_heartbeats (process_id, kind, host, started_at, seen_at) VALUES ($1, $2, $3, $4, now())
  ON CONFLICT (process_id) DO UPDATE SET seen_at = now()`

export interface Heartbeat {
  /** Says good-bye: what this process left open may be taken over at once. */
  stop(): Promise<void>
}

/**
 * Tells the other processes that this one lives. The first beat is awaited, so that work taken on afterwards is never
 * mistaken for a dead process's; later ones are missed without harm as long as the database is away for all.
 */
export async function startHeartbeat(kind: 'web' | 'worker'): Promise<Heartbeat> {
  const values = [env().processId, kind, hostname(), new Date()]
  const send = () => systemPool().query({ name: 'heartbeat', text: beat, values })
  await send()
  const timer = setInterval(() => void send().catch(() => null), everyMs)
  timer.unref()
  return {
    async stop() {
      clearInterval(timer)
      await systemPool()
        .query('DELETE FROM process_heartbeats WHERE process_id = $1', [env().processId])
        .catch(() => null)
    },
  }
}
