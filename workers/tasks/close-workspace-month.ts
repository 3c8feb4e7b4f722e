import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import type { Task } from '../task.ts'

export const closeWorkspaceMonth: Task<'close-workspace-month'> = async ({ workspaceId, month }, { now }) => {
  await freezeInvoiceRun({ workspaceId, month, now: now() })
}
