import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { type CalendarMonth, monthToDate } from '#app/platform/calendar-month.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { type ComputedInvoice, monthHasEnded, type RunState } from './billing.ts'
import { computeInvoice } from './compute-invoice.ts'
import { monthNotOver } from './errors.ts'
import { plannedOperations, runIdOf, stateOf, toLineRow } from './internal/frozen-run.ts'
import { frozenAfterLast, loadUsage, openingResidue } from './internal/usage-buckets.server.ts'

export interface FreezeInput {
  workspaceId: string
  month: CalendarMonth
  now: Date
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
 * @returns null where the month holds no calls
 * @throws AppError conflict `month_not_over`
 */
export async function freezeInvoiceRun({ workspaceId, month, now }: FreezeInput): Promise<FrozenRun | null> {
  if (!monthHasEnded(month, now)) throw monthNotOver(month)
  return inSystem(async (tx) => {
    await tx.$executeRaw`SELECT metering.lock_ledger_exclusive(${workspaceId}::uuid)`
    const known = await tx.invoiceRun.findFirst({
      where: { workspaceId, month, kind: 'ai_usage' },
      orderBy: { revision: 'desc' },
    })
    if (known) return { runId: known.id, state: known.state as RunState, created: false }
    await cutOffHeldCalls(tx, workspaceId, month)
    const { buckets } = await loadUsage(tx, workspaceId, month)
    if (buckets.length === 0) return null
    const invoice = computeInvoice({ month, buckets, openingResiduePico: await openingResidue(tx, workspaceId) })
    await tx.$executeRaw`INSERT INTO metering.closed_months (workspace_id, month) VALUES (${workspaceId}::uuid, ${monthToDate(month)}::date)`
    const runId = await storeRun(tx, workspaceId, invoice, await frozenAfterLast(tx, workspaceId, now))
    return { runId, state: stateOf(invoice.outcome), created: true }
  })
}

/** A call whose cost nobody could tell until now is billed 0 and flagged, in the customer's favour (stripe §2.8). */
async function cutOffHeldCalls(tx: Tx, workspaceId: string, month: CalendarMonth): Promise<void> {
  await tx.$executeRaw`SELECT metering.cut_off_held_calls(${workspaceId}::uuid, ${monthToDate(month)}::date)`
}

async function storeRun(tx: Tx, workspaceId: string, invoice: ComputedInvoice, now: Date): Promise<string> {
  const { currency } = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, select: { currency: true } })
  const runId = runIdOf(workspaceId, invoice.month, 1)
  const state = stateOf(invoice.outcome)
  await tx.invoiceRun.create({
    data: {
      workspaceId,
      id: runId,
      month: invoice.month,
      state,
      currency,
      openingResiduePico: invoice.openingResiduePico.toString(),
      exactPico: invoice.exactPico.toString(),
      totalCents: invoice.totalCents,
      closingResiduePico: invoice.closingResiduePico.toString(),
      calls: invoice.calls,
      linesHash: invoice.linesHash,
      frozenAt: now,
      updatedAt: now,
    },
  })
  await tx.invoiceLine.createMany({ data: invoice.lines.map((line) => toLineRow(workspaceId, runId, line)) })
  if (invoice.outcome === 'bill') {
    await tx.stripeOperation.createMany({ data: plannedOperations(workspaceId, runId, invoice.lines) })
    await enqueueJob(tx, 'write-invoice-run', { workspaceId, runId }, { jobKey: `write:${runId}` })
  }
  await recordAudit(tx, {
    workspaceId,
    actor: { kind: 'system' },
    action: 'invoice_run.frozen',
    subjectType: 'invoice_run',
    subjectId: runId,
    detail: {
      month: invoice.month,
      outcome: invoice.outcome,
      totalCents: invoice.totalCents.toString(),
      linesHash: invoice.linesHash,
    },
    at: now,
  })
  return runId
}
