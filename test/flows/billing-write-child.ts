/** A worker process that writes one run, so that a test can kill it for real. Arguments: workspace id, run id, the time. */
import { writeInvoiceRun } from '#app/domain/billing/write-invoice-run.server.ts'
import { openVault } from '#app/domain/vault/open-vault.server.ts'
import { closeDatabase } from '#app/platform/db.server.ts'

const [, , workspaceId = '', runId = '', at = ''] = process.argv
await openVault()
const result = await writeInvoiceRun({ workspaceId, runId }, () => new Date(at))
await closeDatabase()
console.log(result)
