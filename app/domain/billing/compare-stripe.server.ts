import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { displayMinor, picoPerMinor } from '#app/domain/pricing/currency.ts'
import type { InvoiceRun } from '#app/generated/prisma/client.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { monthToCloseAt } from './billing.ts'
import { billedOf, compareWithFrozen, linesOnStripe } from './internal/compare-lines.ts'
import {
  INVOICE_KINDS,
  openReferences,
  recordDifference,
  resolveDifference,
  STRIPE_KINDS,
} from './internal/differences.server.ts'
import { loadRun } from './internal/run-store.server.ts'
import { findInvoice, listInvoices, listInvoicesOfFormer, listLines } from './internal/stripe.server.ts'
import type { StripeInvoice } from './internal/writer-ports.ts'

const counted = (lines: number): string => (lines === 1 ? '1 line' : `${lines} lines`)

/** How far back every run is compared again. */
const COMPARED_DAYS = 40
const DAY_MS = 86_400_000
/** Stripe can still collect these, so they are compared however old they are. */
const UNSETTLED = ['draft', 'open']

const comparedSince = (now: Date): Date => new Date(now.getTime() - COMPARED_DAYS * DAY_MS)
const runsToCompare = (since: Date) => ({
  state: 'done',
  OR: [{ frozenAt: { gte: since } }, { stripeStatus: { in: UNSETTLED } }],
})

/**
 * Daily: one job per workspace with a customer, so that ten thousand of them are a queue. One that has ended, or whose customer was
 * deleted, is looked at while Stripe may still collect from it, or a difference of it stands. @returns how many
 */
export async function compareStripe(now: Date): Promise<number> {
  const since = comparedSince(now)
  return inSystem(async (tx) => {
    const different = await tx.reconciliationDifference.findMany({
      where: { kind: { in: [...STRIPE_KINDS] }, resolvedAt: null, workspaceId: { not: null } },
      select: { workspaceId: true },
      distinct: ['workspaceId'],
    })
    const ids = different.map(({ workspaceId }) => workspaceId as string)
    const workspaces = await tx.workspace.findMany({
      where: {
        stripeCustomerId: { not: null },
        OR: [
          { suspendedAt: null },
          { suspendedAt: { gte: since } },
          { invoiceRuns: { some: runsToCompare(since) } },
          { id: { in: ids } },
        ],
      },
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
 * Compares what Stripe holds with what was frozen here: each run of the last 40 days, each that Stripe has not settled and each with
 * a difference, line by line, and Stripe's invoices by the run they name. An unknown one is never made again: its month is closed
 * anew, which finds it by its run (stripe §4 case 80). A run is compared with the customer it was billed to. A difference is closed when its cause is gone.
 * @throws StripeCallError
 */
export async function compareWorkspace(workspaceId: string, now: Date): Promise<ComparedWorkspace> {
  const workspace = await inSystem((tx) => tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } }))
  const customer = workspace.stripeCustomerId
  if (!customer) return { runs: 0, differences: 0, unknown: 0 }
  const { runs, differences } = await compareRuns(workspaceId, now)
  const invoices = await listInvoices(customer)
  const former = await inSystem((tx) => tx.stripeCustomer.findMany({ where: { workspaceId, id: { not: customer } } }))
  for (const { id } of former) invoices.push(...(await listInvoicesOfFormer(id)))
  const unknown = await compareInvoices(workspaceId, invoices, now)
  return { runs, differences, unknown }
}

async function compareRuns(workspaceId: string, now: Date): Promise<{ runs: number; differences: number }> {
  const { open, runs } = await inSystem(async (tx) => {
    const open = await openReferences(tx, 'stripe_lines', workspaceId)
    const due = { OR: [runsToCompare(comparedSince(now)), { state: 'done', id: { in: open } }] }
    return { open, runs: await tx.invoiceRun.findMany({ where: { workspaceId, ...due } }) }
  })
  let differences = 0
  for (const run of runs) if (!(await compareRun(run, now))) differences += 1
  // Held again, re-issued or settled by hand: what is to be done about it stands on the run.
  const over = open.filter((id) => !runs.some((run) => run.id === id))
  await inSystem(async (tx) => {
    for (const id of over) await resolveDifference(tx, 'stripe_lines', id, now, 'the run is not in force any more')
  })
  return { runs: runs.length, differences }
}

/** @returns whether Stripe holds exactly the frozen lines, or what an operator took in their place */
async function compareRun(run: InvoiceRun, now: Date): Promise<boolean> {
  const invoice = run.stripeInvoiceId ? await findInvoice(run.stripeInvoiceId) : null
  const bundle = await loadRun(run.workspaceId, run.id)
  const found = invoice ? await listLines(invoice.id) : []
  const actual = linesOnStripe(found).reduce((sum, line) => sum + line.amount, 0n)
  const difference = invoice ? compareWithFrozen(bundle, invoice, found) : 'Stripe has no such invoice'
  // An operator took Stripe's invoice as it is: that it differs was decided, and stands on the run.
  const known = run.settledNote !== null && invoice !== null
  return inSystem(async (tx) => {
    if (!difference || known) {
      await resolveDifference(tx, 'stripe_lines', run.id, now)
      return true
    }
    const stands = await recordDifference(tx, {
      kind: 'stripe_lines',
      workspaceId: run.workspaceId,
      reference: run.id,
      expected: `${displayMinor(run.totalCents, run.currency)} in ${counted(bundle.lines.length)}`,
      actual: `${displayMinor(actual, run.currency)} in ${counted(found.length)}: ${difference}`,
      moneyPico: (run.totalCents - actual) * picoPerMinor(run.currency),
      at: now,
    })
    return !stands
  })
}

/** @returns how many are ours and unknown here */
async function compareInvoices(workspaceId: string, invoices: StripeInvoice[], now: Date): Promise<number> {
  const since = comparedSince(now).getTime()
  const open = await inSystem(async (tx) => {
    const lists = await Promise.all(INVOICE_KINDS.map((kind) => openReferences(tx, kind, workspaceId)))
    return lists.flat()
  })
  const due = invoices.filter(
    ({ id, created, status }) => created * 1000 >= since || UNSETTLED.includes(status ?? '') || open.includes(id),
  )
  let unknown = 0
  for (const invoice of due) if (!(await isKnown(workspaceId, invoice, now))) unknown += 1
  const gone = open.filter((id) => !invoices.some((one) => one.id === id && one.metadata?.workspace_id === workspaceId))
  await inSystem(async (tx) => {
    for (const id of gone) await closeInvoice(tx, id, now, 'Stripe holds no such invoice of ours any more')
  })
  return unknown
}

/** Nothing is to be said about an invoice any more. */
async function closeInvoice(tx: Tx, id: string, now: Date, why?: string): Promise<void> {
  for (const kind of INVOICE_KINDS) {
    await resolveAlert(tx, kind, id, now)
    await resolveDifference(tx, kind, id, now, why)
  }
}

/** One run, one invoice: a second that names it, such as a copy that was made in the Dashboard, bills the month twice. */
async function compareOwner(tx: Tx, run: InvoiceRun, invoice: StripeInvoice, now: Date): Promise<void> {
  const second = run.stripeInvoiceId !== null && run.stripeInvoiceId !== invoice.id
  if (!second) return closeInvoice(tx, invoice.id, now)
  const billed = billedOf(invoice)
  const stands = await recordDifference(tx, {
    kind: 'second_invoice',
    workspaceId: run.workspaceId,
    reference: invoice.id,
    expected: `${run.stripeInvoiceId} alone for ${run.month}`,
    actual: `${invoice.id} (${invoice.status ?? 'unknown'}) of ${displayMinor(billed, invoice.currency)} names the same run`,
    moneyPico: -billed * picoPerMinor(invoice.currency),
    at: now,
  })
  if (!stands) return
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
  const { run_id: runId, workspace_id: named } = invoice.metadata ?? {}
  if (!runId || named !== workspaceId) return true
  if (invoice.status === 'void') {
    await inSystem((tx) => closeInvoice(tx, invoice.id, now))
    return true
  }
  const run = await inSystem((tx) =>
    tx.invoiceRun.findUnique({ where: { workspaceId_id: { workspaceId, id: runId } } }),
  )
  await inSystem(async (tx) => {
    if (!run) return takeUnknown(tx, workspaceId, invoice, now)
    await resolveAlert(tx, 'unknown_invoice', invoice.id, now)
    await resolveDifference(tx, 'unknown_invoice', invoice.id, now)
    await compareOwner(tx, run, invoice, now)
  })
  return run !== null
}

/** Says that Stripe holds an invoice that the database does not know, and has its month closed again. */
async function takeUnknown(tx: Tx, workspaceId: string, invoice: StripeInvoice, now: Date): Promise<void> {
  const { run_id: runId, period } = invoice.metadata ?? {}
  const billed = billedOf(invoice)
  const stands = await recordDifference(tx, {
    kind: 'unknown_invoice',
    workspaceId,
    reference: invoice.id,
    expected: 'no invoice',
    actual: `${displayMinor(billed, invoice.currency)} for ${period ?? '?'}, run ${runId}`,
    moneyPico: -billed * picoPerMinor(invoice.currency),
    at: now,
  })
  if (!stands) return
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
}
