import { enqueueKeyJobs } from '#app/domain/vault/enqueue-key-jobs.server.ts'
import type { Task } from '../task.ts'

export const refreshAllModels: Task<'refresh-models'> = async () => {
  await enqueueKeyJobs('refresh-key-models', 3_600)
}
