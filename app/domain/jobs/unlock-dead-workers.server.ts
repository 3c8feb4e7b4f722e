import { systemPool } from '#app/platform/db.server.ts'
import { SILENCE_MAX_S } from './heartbeat.server.ts'

/**
 * Gives back the jobs of workers that fell silent. The queue itself would keep them locked for four hours. A slow worker
 * that still beats is left alone; every job is safe to run twice all the same.
 * @returns ids of the workers whose jobs were unlocked
 */
export async function unlockDeadWorkers(silenceMaxS = SILENCE_MAX_S): Promise<string[]> {
  const { rows } = await systemPool().query<{ id: string }>(
    `SELECT DISTINCT j.locked_by AS id FROM graphile_worker.jobs j
      WHERE j.locked_by IS NOT NULL AND j.locked_at < now() - make_interval(secs => $1)
        AND NOT EXISTS (SELECT 1 FROM process_heartbeats h WHERE h.process_id = j.locked_by AND h.seen_at > now() - make_interval(secs => $1))`,
    [silenceMaxS],
  )
  const dead = rows.map((row) => row.id)
  if (dead.length) await systemPool().query('SELECT graphile_worker.force_unlock_workers($1::text[])', [dead])
  await systemPool().query("DELETE FROM process_heartbeats WHERE seen_at < now() - interval '1 day'")
  return dead
}
