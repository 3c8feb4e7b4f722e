import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import type { InvoiceRun } from '#app/generated/prisma/client.ts'
import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { runNotHeld } from './errors.ts'
import { plannedOperations, runIdOf, toLine, toLineRow } from './internal/frozen-run.ts'

export interface ReleaseInput {
  workspaceId: string
  runId: string
}

/** Reasons after which the old Stripe invoice is no use any more: the same frozen lines go out as the next revision. */
const REISSUED = new Set(['invoice_missing', 'invoice_voided'])

/**
 * An operator looked at a held run and lets it go on. Where its invoice is gone it is re-issued as a new revision with the
 * same frozen lines; nothing is re-priced.
 * @returns the run that goes on
 * @throws AppError conflict `run_not_held`
 */
export async function releaseInvoiceRun(
  ctx: OperatorCtx,
  { workspaceId, runId }: ReleaseInput,
): Promise<{ runId: string }> {
  authorize(ctx, 'operate:Platform', { workspaceId })
  const now = ctx.now()
  return inSystem(async (tx) => {
    const run = await lockHeldRun(tx, workspaceId, runId)
    const next = REISSUED.has(run.heldReason ?? '') ? await reissue(tx, run, now) : await resume(tx, run, now)
    await recordAudit(tx, {
      workspaceId,
      actor: ctx.actor,
      action: 'invoice_run.released',
      subjectType: 'invoice_run',
      subjectId: runId,
      detail: { month: run.month, reason: run.heldReason ?? '', nextRun: next },
      at: now,
    })
    return { runId: next }
  })
}

/** Runs that only waited for the customer's address go on once it may have changed (stripe §4 case 26). */
export async function releaseTaxHolds(tx: Tx, workspaceId: string, now: Date): Promise<number> {
  const runs = await tx.invoiceRun.findMany({ where: { workspaceId, state: 'held', heldReason: 'tax_location' } })
  for (const run of runs) await resume(tx, run, now)
  return runs.length
}

async function lockHeldRun(tx: Tx, workspaceId: string, runId: string): Promise<InvoiceRun> {
  await tx.$queryRaw`SELECT 1 FROM invoice_runs WHERE workspace_id = ${workspaceId}::uuid AND id = ${runId}::uuid FOR UPDATE`
  const run = await tx.invoiceRun.findUnique({ where: { workspaceId_id: { workspaceId, id: runId } } })
  if (!run) throw notFound('Invoice run')
  if (run.state !== 'held') throw runNotHeld(run.state)
  return run
}

async function resume(tx: Tx, run: InvoiceRun, now: Date): Promise<string> {
  await tx.invoiceRun.update({
    where: { workspaceId_id: { workspaceId: run.workspaceId, id: run.id } },
    data: { state: 'writing', heldReason: null, heldDetail: null, updatedAt: now },
  })
  await resolveAlert(tx, 'invoice_run_held', run.id, now)
  await enqueueJob(
    tx,
    'write-invoice-run',
    { workspaceId: run.workspaceId, runId: run.id },
    { jobKey: `write:${run.id}` },
  )
  return run.id
}

async function reissue(tx: Tx, run: InvoiceRun, now: Date): Promise<string> {
  const { workspaceId } = run
  const rows = await tx.invoiceLine.findMany({ where: { workspaceId, runId: run.id }, orderBy: { position: 'asc' } })
  const lines = rows.map(toLine)
  const id = runIdOf(workspaceId, run.month as CalendarMonth, run.revision + 1)
  await tx.invoiceRun.update({
    where: { workspaceId_id: { workspaceId, id: run.id } },
    data: { state: 'superseded', updatedAt: now },
  })
  await tx.invoiceRun.create({
    data: {
      workspaceId,
      id,
      month: run.month,
      revision: run.revision + 1,
      state: 'frozen',
      currency: run.currency,
      openingResiduePico: run.openingResiduePico,
      exactPico: run.exactPico,
      totalCents: run.totalCents,
      closingResiduePico: run.closingResiduePico,
      calls: run.calls,
      linesHash: run.linesHash,
      // The same place in the chain of residues: a re-issue freezes nothing anew.
      frozenAt: run.frozenAt,
      updatedAt: now,
    },
  })
  await tx.invoiceLine.createMany({ data: lines.map((line) => toLineRow(workspaceId, id, line)) })
  await tx.stripeOperation.createMany({ data: plannedOperations(workspaceId, id, lines) })
  await resolveAlert(tx, 'invoice_run_held', run.id, now)
  await enqueueJob(tx, 'write-invoice-run', { workspaceId, runId: id }, { jobKey: `write:${id}` })
  return id
}
