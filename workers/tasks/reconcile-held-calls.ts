import { reconcileHeldCalls } from '#app/domain/ledger/reconcile-held-calls.server.ts'
import { log } from '#app/platform/log.server.ts'
import { readGeneration } from '../read-generation.ts'
import type { Task } from '../task.ts'

export const reconcileHeld: Task<'reconcile-held-calls'> = async (_, { now }) => {
  const resolved = await reconcileHeldCalls(readGeneration, now())
  if (resolved) log.info({ resolved }, 'held calls whose cost is now known')
}
