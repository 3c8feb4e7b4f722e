import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { sealInvoiceRun } from '#app/domain/billing/seal-invoice-run.server.ts'
import { databaseNow } from '#app/platform/db.server.ts'
import type { Task } from '../task.ts'

/** A worker's clock, set right by the database's: a month is over when the database says so (stripe §4 case 76). */
const byDatabase = async (at: Date): Promise<Date> =>
  new Date(at.getTime() + (await databaseNow()).getTime() - Date.now())

/** Freezes the month, and then hashes it while calls of the next one are already being recorded. */
export const closeWorkspaceMonth: Task<'close-workspace-month'> = async ({ workspaceId, month }, { now }) => {
  const frozen = await freezeInvoiceRun({ workspaceId, month, now: await byDatabase(now()) })
  if (frozen) await sealInvoiceRun({ workspaceId, runId: frozen.runId }, now())
}
