import { allProviders } from '#app/domain/providers/registry.ts'
import { enqueueKeyJobs } from '#app/domain/vault/enqueue-key-jobs.server.ts'
import type { Task } from '../task.ts'

export const pollAllBalances: Task<'poll-balances'> = async () => {
  const tellers = allProviders().filter((provider) => provider.balance !== null)
  const ids = tellers.map(({ id }) => id)
  await enqueueKeyJobs('poll-key-balance', 600, ids)
}
