import { writeInvoiceRun } from '#app/domain/billing/write-invoice-run.server.ts'
import { AppError } from '#app/platform/errors.ts'
import type { Task } from '../task.ts'

export const writeRun: Task<'write-invoice-run'> = async ({ workspaceId, runId }, { now }) => {
  const result = await writeInvoiceRun({ workspaceId, runId }, now)
  if (result === 'busy') throw new AppError('conflict', 'run_busy', 'Another worker is writing this run.')
}
