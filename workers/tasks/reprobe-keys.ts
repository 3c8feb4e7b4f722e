import { enqueueKeyJobs } from '#app/domain/vault/enqueue-key-jobs.server.ts'
import type { Task } from '../task.ts'

export const reprobeAllKeys: Task<'reprobe-keys'> = async () => {
  await enqueueKeyJobs('reprobe-provider-key', 3_600)
}
