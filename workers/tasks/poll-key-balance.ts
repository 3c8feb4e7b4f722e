import { pollKeyBalance } from '#app/domain/vault/poll-key-balance.server.ts'
import type { Task } from '../task.ts'

export const pollBalance: Task<'poll-key-balance'> = async ({ workspaceId, keyId }, { now }) => {
  await pollKeyBalance({ workspaceId, keyId }, now())
}
