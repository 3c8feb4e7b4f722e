import { reprobeProviderKey } from '#app/domain/vault/reprobe-provider-key.server.ts'
import type { Task } from '../task.ts'

export const reprobeKey: Task<'reprobe-provider-key'> = async ({ workspaceId, keyId }, { now }) => {
  await reprobeProviderKey({ workspaceId, keyId }, now())
}
