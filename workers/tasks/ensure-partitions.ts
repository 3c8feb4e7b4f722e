import { ensurePartitions } from '#app/domain/ledger/record-calls.server.ts'
import type { Task } from '../task.ts'

/** This month's partition and the next three: a worker that was away for weeks still leaves no gap. */
export const ensureMonthPartitions: Task<'ensure-partitions'> = async (_, { now }) => {
  const start = now()
  await ensurePartitions(
    [0, 1, 2, 3].map((months) => new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + months, 1))),
  )
}
