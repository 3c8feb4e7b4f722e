import type { JobName } from '#app/domain/jobs/jobs.ts'
import { inSystem } from '#app/platform/db.server.ts'

type KeyJob = Extract<JobName, 'reprobe-provider-key' | 'refresh-key-models' | 'poll-key-balance'>

/**
 * One job for each enabled key (of some providers), spread over `spreadS` seconds so that no provider is asked about all of
 * them at once. A key that still waits for the same job gets no second one.
 * @returns how many keys
 */
export async function enqueueKeyJobs(
  name: KeyJob,
  spreadS: number,
  providers: string[] | null = null,
): Promise<number> {
  const rows = await inSystem(
    (tx) => tx.$queryRaw<{ id: string }[]>`
      SELECT j.id::text FROM provider_keys k, LATERAL graphile_worker.add_job(
        identifier => ${name}, payload => json_build_object('workspaceId', k.workspace_id, 'keyId', k.id),
        run_at => now() + make_interval(secs => random() * ${spreadS}::int), max_attempts => 3,
        job_key => ${`${name}:`} || k.id) AS j
      WHERE k.enabled AND (${providers}::text[] IS NULL OR k.provider = ANY(${providers}::text[]))`,
  )
  return rows.length
}
