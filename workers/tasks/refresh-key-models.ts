import { refreshKeyModels } from '#app/domain/vault/refresh-key-models.server.ts'
import type { Task } from '../task.ts'

export const refreshModels: Task<'refresh-key-models'> = async ({ workspaceId, keyId }, { now }) => {
  await refreshKeyModels(workspaceId, keyId, now())
}
