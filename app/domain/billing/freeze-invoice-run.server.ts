import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { needsDollars } from '#app/domain/pricing/currency.ts'
import { type CalendarMonth, monthToDate } from '#app/platform/calendar-month.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { type ComputedInvoice, monthHasEnded, type RunState } from './billing.ts'
import { computeInvoice } from './compute-invoice.ts'
import { monthNotOver, RunStopped } from './errors.ts'
import { plannedOperations, runIdOf, stateOf, toLineRow } from './internal/frozen-run.ts'
import { currentTerms, gatherMonth, type MonthTerms, storeTerms } from './internal/invoice-input.server.ts'
import { noteStopped } from './internal/run-store.server.ts'
import { frozenAfterLast, openingResidue } from './internal/usage-buckets.server.ts'

export interface FreezeInput {
  workspaceId: string
  month: CalendarMonth
  now: Date
  /** The workspace ends: its month is closed although it is not over (stripe §4 case 81). */
  final?: boolean
}

export interface FrozenRun {
  runId: string
  state: RunState
  /** false: the month was frozen before, by this worker or another. */
  created: boolean
}

/**
 * Closes one workspace's UTC month: cuts off calls whose cost never became known, sums, freezes the lines, plans what Stripe
 * will be asked and marks the month closed, in one transaction under the ledger's exclusive lock, so no call slips between
 * (stripe §2.3 T1). Calls that come later are billed in the next month as late usage.
 * @returns null where the month holds nothing to bill
 * @throws AppError conflict `month_not_over`
 */
export async function freezeInvoiceRun({
  workspaceId,
  month,
  now,
  final = false,
}: FreezeInput): Promise<FrozenRun | null> {
  if (!final && !monthHasEnded(month, now)) throw monthNotOver(month)
  return inSystem(async (tx) => {
    await tx.$executeRaw`SELECT metering.lock_ledger_exclusive(${workspaceId}::uuid)`
    const known = await tx.invoiceRun.findFirst({
      where: { workspaceId, month, kind: 'ai_usage' },
      orderBy: { revision: 'desc' },
    })
    if (known) return { runId: known.id, state: known.state as RunState, created: false }
    await cutOffHeldCalls(tx, workspaceId, month)
    const terms = await currentTerms(tx, workspaceId)
    const { input, empty } = await gatherMonth(tx, workspaceId, month, { terms })
    const invoice = computeInvoice({ ...input, openingResiduePico: await openingResidue(tx, workspaceId) })
    // A workspace that has left is billed what was carried, although its month is empty.
    if (empty && !(terms.leaving && invoice.outcome === 'bill')) return null
    await tx.$executeRaw`INSERT INTO metering.closed_months (workspace_id, month) VALUES (${workspaceId}::uuid, ${monthToDate(month)}::date)`
    const at = await frozenAfterLast(tx, workspaceId, now)
    const { runId, state } = await storeRun(tx, { workspaceId, invoice, terms, at })
    return { runId, state, created: true }
  })
}

/** A call whose cost nobody could tell until now is billed 0 and flagged, in the customer's favour (stripe §2.8). */
async function cutOffHeldCalls(tx: Tx, workspaceId: string, month: CalendarMonth): Promise<void> {
  await tx.$executeRaw`SELECT metering.cut_off_held_calls(${workspaceId}::uuid, ${monthToDate(month)}::date)`
}

interface NewRun {
  workspaceId: string
  invoice: ComputedInvoice
  terms: MonthTerms
  at: Date
}

async function storeRun(
  tx: Tx,
  { workspaceId, invoice, terms, at }: NewRun,
): Promise<{ runId: string; state: RunState }> {
  const runId = runIdOf(workspaceId, invoice.month, 1)
  const held = invoice.outcome === 'bill' ? await currencyProblem(tx, invoice) : null
  const state = held ? 'held' : stateOf(invoice.outcome)
  await tx.invoiceRun.create({
    data: {
      workspaceId,
      id: runId,
      month: invoice.month,
      state,
      currency: invoice.currency,
      openingResiduePico: invoice.openingResiduePico.toString(),
      exactPico: invoice.exactPico.toString(),
      totalCents: invoice.totalCents,
      closingResiduePico: invoice.closingResiduePico.toString(),
      calls: invoice.calls,
      linesHash: invoice.linesHash,
      terms: storeTerms(terms),
      frozenAt: at,
      updatedAt: at,
    },
  })
  await tx.invoiceLine.createMany({ data: invoice.lines.map((line) => toLineRow(workspaceId, runId, line)) })
  if (invoice.outcome === 'bill')
    await tx.stripeOperation.createMany({ data: plannedOperations(workspaceId, runId, invoice.lines) })
  if (held) await noteStopped(tx, { workspaceId, id: runId, month: invoice.month }, held, at)
  else if (invoice.outcome === 'bill')
    await enqueueJob(tx, 'write-invoice-run', { workspaceId, runId }, { jobKey: `write:${runId}` })
  const { month, outcome, totalCents, linesHash } = invoice
  await recordAudit(tx, {
    workspaceId,
    actor: { kind: 'system' },
    action: 'invoice_run.frozen',
    subjectType: 'invoice_run',
    subjectId: runId,
    detail: { month, outcome, totalCents: totalCents.toString(), linesHash },
    at,
  })
  return { runId, state }
}

/**
 * Amounts that do not belong into the invoice's currency (stripe §4 case 23): modes that reckon with costs in dollars, and
 * calls that were priced by another currency's price book. Prices were refused where they were set; this is the last look.
 */
async function currencyProblem(tx: Tx, { currency, lines }: ComputedInvoice): Promise<RunStopped | null> {
  const inDollars = lines.find((line) => currency !== 'usd' && needsDollars(line.chargeMode))
  if (inDollars) return RunStopped.held('needs_dollars', `${inDollars.lineKey}, billed in ${currency}`)
  const priced = lines.filter((line) => line.chargeMode === 'tier' || line.kind === 'usage')
  const versions = priced.flatMap((line) => line.priceBookVersion ?? [])
  const foreign = await tx.priceBook.findFirst({ where: { version: { in: versions }, currency: { not: currency } } })
  return foreign
    ? RunStopped.held(
        'price_currency',
        `price book ${foreign.version} is in ${foreign.currency}, the workspace in ${currency}`,
      )
    : null
}
