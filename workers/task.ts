import type { JobName, JobPayload } from '#app/domain/jobs/jobs.ts'
import type { Clock } from '#app/platform/clock.ts'

/** One job's work: the payload is already parsed; a throw means "try again later". */
export type Task<N extends JobName> = (payload: JobPayload<N>, context: { now: Clock }) => Promise<void>
