import type { Tx } from '#app/platform/db.server.ts'
import { scrubSecrets } from '#app/platform/secret-patterns.ts'

/**
 * Where a job stands. `failed`: all its tries are used up, nothing happens until somebody retries it. `failing`: it failed
 * and will be tried again by itself.
 */
export type JobState = 'failed' | 'failing' | 'running' | 'waiting'

export interface JobRow {
  id: string
  name: string
  state: JobState
  attempts: number
  maxAttempts: number
  /** First line of what it said last, without secrets. */
  lastError: string | null
  runAt: string
  createdAt: string
}

interface QueueRow {
  id: string
  name: string
  attempts: number
  max_attempts: number
  last_error: string | null
  run_at: Date
  created_at: Date
  locked: boolean
}

const stateOf = (row: QueueRow): JobState => {
  if (row.locked) return 'running'
  if (row.attempts >= row.max_attempts) return 'failed'
  return row.last_error && row.attempts > 0 ? 'failing' : 'waiting'
}

/** Jobs that are not done, the failed ones first. At most 200. Needs a system transaction. */
export async function findOpenJobs(tx: Tx): Promise<JobRow[]> {
  const rows = await tx.$queryRaw<QueueRow[]>`
    SELECT id::text, task_identifier AS name, attempts, max_attempts, left(split_part(last_error, chr(10), 1), 400) AS last_error,
      run_at, created_at, locked_at IS NOT NULL AS locked
    FROM graphile_worker.jobs
    ORDER BY (attempts >= max_attempts) DESC, (last_error IS NOT NULL) DESC, run_at, id LIMIT 200`
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    state: stateOf(row),
    attempts: row.attempts,
    maxAttempts: row.max_attempts,
    lastError: row.last_error && scrubSecrets(row.last_error),
    runAt: row.run_at.toISOString(),
    createdAt: row.created_at.toISOString(),
  }))
}

/**
 * Gives a job all its tries back and lets it run now. A running one is left alone.
 * @returns its name; null where it is done, running or unknown
 */
export async function rescheduleJob(tx: Tx, id: bigint): Promise<string | null> {
  const rows = await tx.$queryRaw<{ name: string }[]>`
    SELECT t.identifier AS name FROM graphile_worker.reschedule_jobs(ARRAY[${id}]::bigint[], run_at => now(), attempts => 0) AS j
    JOIN graphile_worker._private_tasks t ON t.id = j.task_id`
  return rows[0]?.name ?? null
}

export interface ProcessRow {
  id: string
  kind: string
  host: string
  startedAt: string
  /** Seconds since it last said that it lives. */
  silentS: number
}

/** Processes that said within the last day that they live. */
export async function findProcesses(tx: Tx, now: Date): Promise<ProcessRow[]> {
  const rows = await tx.processHeartbeat.findMany({
    where: { seenAt: { gt: new Date(now.getTime() - 86_400_000) } },
    orderBy: [{ kind: 'asc' }, { startedAt: 'asc' }],
  })
  return rows.map((row) => ({
    id: row.processId,
    kind: row.kind,
    host: row.host,
    startedAt: row.startedAt.toISOString(),
    silentS: Math.max(0, Math.round((now.getTime() - row.seenAt.getTime()) / 1000)),
  }))
}
