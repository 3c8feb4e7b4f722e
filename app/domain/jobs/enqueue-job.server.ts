import type { Tx } from '#app/platform/db.server.ts'
import { type JobInput, type JobName, jobSchemas } from './jobs.ts'

export interface EnqueueOptions {
  /** A later job with the same key replaces one that has not started. It is no mutex: a running one may overlap. */
  jobKey?: string
  runAt?: Date
  maxAttempts?: number
}

/**
 * Adds a job inside the caller's transaction: it exists exactly when the caller's change does.
 * @throws ZodError where the payload does not fit: a bug of the caller, and nothing is stored
 */
export async function enqueueJob<N extends JobName>(
  tx: Tx,
  name: N,
  payload: JobInput<N>,
  options: EnqueueOptions = {},
): Promise<void> {
  jobSchemas[name].parse(payload)
  await tx.$queryRaw`
    SELECT id::text FROM graphile_worker.add_job(
      identifier => ${name}, payload => ${JSON.stringify(payload)}::json, run_at => ${options.runAt ?? null}::timestamptz,
      max_attempts => ${options.maxAttempts ?? 12}::int, job_key => ${options.jobKey ?? null}::text)`
}
