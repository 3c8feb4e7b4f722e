import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { RunStopped } from '../errors.ts'
import { mirrorOf, recordStopped } from './run-store.server.ts'
import { findInvoice } from './stripe.server.ts'

/** Mirrors one invoice's state onto its run. An invoice of the vendor's own (a plan fee) belongs to no run. */
export async function syncInvoice(workspaceId: string, invoiceId: string, now: Date): Promise<string> {
  const run = await inSystem((tx) => tx.invoiceRun.findFirst({ where: { workspaceId, stripeInvoiceId: invoiceId } }))
  if (!run) return 'not_ours'
  const invoice = await findInvoice(invoiceId)
  const open = run.state === 'writing' || run.state === 'frozen'
  if (!invoice) {
    if (open) await recordStopped(run, RunStopped.held('invoice_missing', invoiceId), now)
    return 'invoice_missing'
  }
  await inSystem(async (tx) => {
    await tx.invoiceRun.update({
      where: { workspaceId_id: { workspaceId, id: run.id } },
      data: { ...mirrorOf(invoice), updatedAt: now },
    })
    if (invoice.amount_overpaid > 0) {
      await raiseAlert(tx, {
        kind: 'invoice_overpaid',
        reference: run.id,
        workspaceId,
        message: `Invoice ${invoice.number ?? invoiceId} was overpaid; it is not collected again (stripe §4 case 29).`,
        at: now,
      })
    }
  })
  return `invoice_${invoice.status ?? 'unknown'}`
}
