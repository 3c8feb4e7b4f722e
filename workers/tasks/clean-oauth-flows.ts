import { cleanOauthFlows } from '#app/domain/vault/clean-oauth-flows.server.ts'
import type { Task } from '../task.ts'

export const cleanFlows: Task<'clean-oauth-flows'> = async (_, { now }) => {
  await cleanOauthFlows(now())
}
