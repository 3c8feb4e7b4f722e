import { unlockDeadWorkers } from '#app/domain/jobs/unlock-dead-workers.server.ts'
import { log } from '#app/platform/log.server.ts'
import type { Task } from '../task.ts'

export const unlockJobsOfDeadWorkers: Task<'unlock-dead-workers'> = async () => {
  const unlocked = await unlockDeadWorkers()
  if (unlocked.length) log.warn({ workers: unlocked.length }, 'jobs of dead workers were unlocked')
}
