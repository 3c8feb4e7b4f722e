import { sweepAttempts } from '#app/domain/ledger/sweep-attempts.server.ts'
import { databaseNow } from '#app/platform/db.server.ts'
import { log } from '#app/platform/log.server.ts'
import { readGeneration } from '../read-generation.ts'
import type { Task } from '../task.ts'

export const sweepOpenAttempts: Task<'sweep-attempts'> = async () => {
  // Attempts and heartbeats are dated by the database: by a clock that runs ahead, living processes would look dead.
  const now = await databaseNow()
  const swept = await sweepAttempts(readGeneration, now)
  if (swept.settled || swept.waiting) log.warn({ ...swept }, 'calls that a dead process left open')
}
