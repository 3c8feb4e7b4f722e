import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { raiseNotice, resolveNotices } from '#app/domain/notifications/notices.server.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { RunStopped } from '../errors.ts'
import { actionRequired, addressMissing, invoiceOverdue, type Words } from '../stripe-words.ts'
import { mirrorOf, recordStopped } from './run-store.server.ts'
import { findInvoice } from './stripe.server.ts'
import type { StripeInvoice } from './writer-ports.ts'

/** Events whose very type is the news; everything else is read from the invoice. */
const NEWS: Record<string, [kind: string, words: () => Words]> = {
  'invoice.payment_action_required': ['payment_action', actionRequired],
  'invoice.overdue': ['invoice_overdue', invoiceOverdue],
}

/**
 * Mirrors one invoice's state onto its run, and tells the workspace and the operator what it means for them. An invoice of
 * the vendor's own (a plan fee) belongs to no run.
 * @param events types that made us look
 */
export async function syncInvoice(
  workspaceId: string,
  invoiceId: string,
  now: Date,
  events: readonly string[] = [],
): Promise<string> {
  const { run, stripeCustomerId } = await inSystem(async (tx) => ({
    run: await tx.invoiceRun.findFirst({ where: { workspaceId, stripeInvoiceId: invoiceId } }),
    ...(await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, select: { stripeCustomerId: true } })),
  }))
  const invoice = await findInvoice(invoiceId)
  // What the vendor goes on billing to a customer of before is none of the workspace's.
  const theirs = run !== null || customerOf(invoice) === stripeCustomerId
  if (invoice && theirs) await inSystem((tx) => tellWorkspace(tx, workspaceId, invoice, events, now))
  if (!run) return 'not_ours'
  const open = run.state === 'writing' || run.state === 'frozen' || run.state === 'review'
  if (!invoice) {
    if (open) await recordStopped(run, RunStopped.held('invoice_missing', invoiceId), now)
    return 'invoice_missing'
  }
  await inSystem(async (tx) => {
    await tx.invoiceRun.update({
      where: { workspaceId_id: { workspaceId, id: run.id } },
      data: { ...mirrorOf(invoice), updatedAt: now },
    })
    await tellOperator(tx, { workspaceId, runId: run.id, done: run.state === 'done' }, invoice, now)
  })
  return `invoice_${invoice.status ?? 'unknown'}`
}

const customerOf = (invoice: StripeInvoice | null): string | null =>
  typeof invoice?.customer === 'string' ? invoice.customer : (invoice?.customer?.id ?? null)

async function tellWorkspace(
  tx: Tx,
  workspaceId: string,
  invoice: StripeInvoice,
  events: readonly string[],
  at: Date,
): Promise<void> {
  const about = { workspaceId, path: 'settings/billing', at }
  const lacksAddress =
    invoice.status === 'draft' && invoice.last_finalization_error?.code === 'customer_tax_location_invalid'
  if (lacksAddress)
    await raiseNotice(tx, { ...about, ...addressMissing(), kind: 'tax_location', reference: workspaceId })
  else if (invoice.status !== 'draft')
    await resolveNotices(tx, { workspaceId, kinds: ['tax_location'], reference: workspaceId, at })
  if (invoice.status !== 'open') return
  for (const type of events) {
    const [kind, words] = NEWS[type] ?? []
    if (kind && words) await raiseNotice(tx, { ...about, ...words(), kind, reference: workspaceId })
  }
}

interface OurRun {
  workspaceId: string
  runId: string
  done: boolean
}

const GIVEN_UP: Partial<Record<string, string>> = { void: 'voided', uncollectible: 'written off' }

/** What an operator must look at: money that came twice, and invoices that somebody took back in Stripe. */
async function tellOperator(
  tx: Tx,
  { workspaceId, runId, done }: OurRun,
  invoice: StripeInvoice,
  at: Date,
): Promise<void> {
  const name = invoice.number ?? invoice.id
  const about = { reference: runId, workspaceId, at }
  if (invoice.amount_overpaid > 0)
    await raiseAlert(tx, {
      ...about,
      kind: 'invoice_overpaid',
      message: `Invoice ${name} was overpaid; it is not collected again. Refund the difference in Stripe, or leave it as a credit.`,
    })
  const given = invoice.status && GIVEN_UP[invoice.status]
  if (done && given)
    await raiseAlert(tx, {
      ...about,
      kind: 'invoice_given_up',
      message: `Invoice ${name} was ${given} in Stripe. What was used stays in the ledger and is not billed again by itself.`,
    })
  else await resolveAlert(tx, 'invoice_given_up', runId, at)
}
