import { writeInvoiceRun } from '#app/domain/billing/write-invoice-run.server.ts'
import type { Task } from '../task.ts'

export const writeRun: Task<'write-invoice-run'> = async ({ workspaceId, runId }, { now }) => {
  await writeInvoiceRun({ workspaceId, runId }, now)
}
