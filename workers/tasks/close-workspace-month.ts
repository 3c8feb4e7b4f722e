import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { sealInvoiceRun } from '#app/domain/billing/seal-invoice-run.server.ts'
import type { Task } from '../task.ts'

/** Freezes the month, and then hashes it while calls of the next one are already being recorded. */
export const closeWorkspaceMonth: Task<'close-workspace-month'> = async ({ workspaceId, month }, { now }) => {
  const frozen = await freezeInvoiceRun({ workspaceId, month, now: now() })
  if (frozen) await sealInvoiceRun({ workspaceId, runId: frozen.runId }, now())
}
