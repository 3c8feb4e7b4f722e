import { rerateCalls } from '#app/domain/ledger/rerate-calls.server.ts'
import type { Task } from '../task.ts'

export const reratePastCalls: Task<'rerate-calls'> = async ({ rerateId }, { now }) => {
  await rerateCalls(rerateId, now())
}
