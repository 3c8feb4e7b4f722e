import { compareWorkspace } from '#app/domain/billing/compare-stripe.server.ts'
import type { Task } from '../task.ts'

export const compareOneWithStripe: Task<'compare-workspace-stripe'> = async ({ workspaceId }, { now }) => {
  await compareWorkspace(workspaceId, now())
}
