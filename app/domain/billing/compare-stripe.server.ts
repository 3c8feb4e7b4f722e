import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { picoPerMinor } from '#app/domain/pricing/currency.ts'
import type { InvoiceRun } from '#app/generated/prisma/client.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { monthToCloseAt } from './billing.ts'
import { compareWithFrozen } from './internal/compare-lines.ts'
import { recordDifference, resolveDifference } from './internal/differences.server.ts'
import { loadRun } from './internal/run-store.server.ts'
import { findInvoice, listInvoices, listLines } from './internal/stripe.server.ts'
import type { StripeInvoice } from './internal/writer-ports.ts'

/** How far back every run is compared again. */
const COMPARED_DAYS = 40
const DAY_MS = 86_400_000

/** Daily: one job per workspace with a customer, so that ten thousand of them are a queue. @returns how many */
export async function compareStripe(): Promise<number> {
  return inSystem(async (tx) => {
    const workspaces = await tx.workspace.findMany({
      where: { stripeCustomerId: { not: null }, suspendedAt: null },
      select: { id: true },
      orderBy: { id: 'asc' },
    })
    for (const { id } of workspaces)
      await enqueueJob(tx, 'compare-workspace-stripe', { workspaceId: id }, { jobKey: `compare:${id}` })
    return workspaces.length
  })
}

export interface ComparedWorkspace {
  runs: number
  differences: number
  /** Invoices of ours that the database did not know: it was restored to before they were made. */
  unknown: number
}

/**
 * Compares what Stripe holds with what was frozen here: each run of the last 40 days line by line, and Stripe's invoices by
 * the run they name. An unknown one is never made again: its month is closed anew, which finds it by its run (stripe §4 case 80).
 * @throws StripeCallError
 */
export async function compareWorkspace(workspaceId: string, now: Date): Promise<ComparedWorkspace> {
  const workspace = await inSystem((tx) => tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } }))
  const customer = workspace.stripeCustomerId
  if (!customer) return { runs: 0, differences: 0, unknown: 0 }
  const since = new Date(now.getTime() - COMPARED_DAYS * DAY_MS)
  const runs = await inSystem((tx) =>
    tx.invoiceRun.findMany({ where: { workspaceId, state: 'done', frozenAt: { gte: since } } }),
  )
  let differences = 0
  for (const run of runs) if (!(await compareRun(run, customer, now))) differences += 1
  const invoices = (await listInvoices(customer)).filter((invoice) => invoice.created * 1000 >= since.getTime())
  let unknown = 0
  for (const invoice of invoices) if (!(await isKnown(workspaceId, invoice, now))) unknown += 1
  return { runs: runs.length, differences, unknown }
}

/** @returns whether Stripe holds exactly the frozen lines, or what an operator took in their place */
async function compareRun(run: InvoiceRun, customer: string, now: Date): Promise<boolean> {
  const invoice = await findInvoice(run.stripeInvoiceId ?? '')
  const { lines } = await loadRun(run.workspaceId, run.id)
  const found = invoice ? await listLines(invoice.id) : []
  const actual = found.reduce((sum, line) => sum + BigInt(line.amount), 0n)
  const frozen = {
    lines,
    totalCents: run.totalCents,
    linesHash: run.linesHash,
    currency: run.currency,
    customer,
  }
  const difference = invoice
    ? compareWithFrozen(frozen, {
        lines: found.map((line) => ({ lineKey: line.metadata.line_key ?? null, amount: line.amount })),
        subtotal: invoice.subtotal_excluding_tax ?? invoice.subtotal,
        linesHash: invoice.metadata?.lines_hash ?? null,
        currency: invoice.currency,
        customer: typeof invoice.customer === 'string' ? invoice.customer : (invoice.customer?.id ?? ''),
      })
    : 'Stripe has no such invoice'
  // An operator took Stripe's invoice as it is: that it differs was decided, and stands on the run.
  const known = run.settledNote !== null && invoice !== null
  await inSystem(async (tx) => {
    if (!difference || known) return resolveDifference(tx, 'stripe_lines', run.id, now)
    await recordDifference(tx, {
      kind: 'stripe_lines',
      workspaceId: run.workspaceId,
      reference: run.id,
      expected: `${run.totalCents} in ${lines.length} lines`,
      actual: `${actual} in ${found.length} lines: ${difference}`,
      moneyPico: (run.totalCents - actual) * picoPerMinor(run.currency),
      at: now,
    })
  })
  return !difference || known
}

/** One run, one invoice: a second that names it, such as a copy that was made in the Dashboard, bills the month twice. */
async function compareOwner(tx: Tx, run: InvoiceRun, invoice: StripeInvoice, now: Date): Promise<void> {
  const second = run.stripeInvoiceId !== null && run.stripeInvoiceId !== invoice.id
  if (!second) return resolveDifference(tx, 'second_invoice', invoice.id, now)
  const billed = BigInt(invoice.subtotal_excluding_tax ?? invoice.subtotal)
  await recordDifference(tx, {
    kind: 'second_invoice',
    workspaceId: run.workspaceId,
    reference: invoice.id,
    expected: `${run.stripeInvoiceId} alone for ${run.month}`,
    actual: `${invoice.id} (${invoice.status ?? 'unknown'}) of ${billed} names the same run`,
    moneyPico: -billed * picoPerMinor(invoice.currency),
    at: now,
  })
  await raiseAlert(tx, {
    kind: 'second_invoice',
    reference: invoice.id,
    workspaceId: run.workspaceId,
    message: `Stripe holds a second invoice for ${run.month}, ${invoice.number ?? invoice.id}, beside ${run.stripeInvoiceId}. One of them bills the customer twice: void it, or credit it.`,
    at: now,
  })
}

/** @returns false for an invoice of ours that no run of the database stands for */
async function isKnown(workspaceId: string, invoice: StripeInvoice, now: Date): Promise<boolean> {
  const { run_id: runId, workspace_id: named, period } = invoice.metadata ?? {}
  if (!runId || named !== workspaceId) return true
  if (invoice.status === 'void') {
    await inSystem(async (tx) => {
      for (const kind of ['unknown_invoice', 'second_invoice']) {
        await resolveAlert(tx, kind, invoice.id, now)
        await resolveDifference(tx, kind, invoice.id, now)
      }
    })
    return true
  }
  const run = await inSystem((tx) =>
    tx.invoiceRun.findUnique({ where: { workspaceId_id: { workspaceId, id: runId } } }),
  )
  await inSystem(async (tx) => {
    if (run) {
      await resolveAlert(tx, 'unknown_invoice', invoice.id, now)
      await resolveDifference(tx, 'unknown_invoice', invoice.id, now)
      await compareOwner(tx, run, invoice, now)
      return
    }
    await recordDifference(tx, {
      kind: 'unknown_invoice',
      workspaceId,
      reference: invoice.id,
      expected: 'no invoice',
      actual: `${invoice.subtotal_excluding_tax ?? invoice.subtotal} for ${period ?? '?'}, run ${runId}`,
      moneyPico: -BigInt(invoice.subtotal_excluding_tax ?? invoice.subtotal) * picoPerMinor(invoice.currency),
      at: now,
    })
    await raiseAlert(tx, {
      kind: 'unknown_invoice',
      reference: invoice.id,
      workspaceId,
      message: `Stripe holds an invoice for ${period ?? 'an unknown month'} that this database does not know: it was restored to before it was made. The month is closed again and takes the invoice over; it is not made a second time.`,
      at: now,
    })
    if (/^\d{4}-(0[1-9]|1[0-2])$/.test(period ?? '') && (period as string) <= monthToCloseAt(now))
      await enqueueJob(
        tx,
        'close-workspace-month',
        { workspaceId, month: period as string },
        { jobKey: `close:${workspaceId}:${period}` },
      )
  })
  return run !== null
}
