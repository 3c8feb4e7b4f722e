import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import type { InvoiceRun } from '#app/generated/prisma/client.ts'
import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { type Resolution, resolutionsOf } from './billing.ts'
import { resolutionNotPossible, runNotHeld, settlementNeedsNote } from './errors.ts'
import { plannedOperations, runIdOf, toLine, toLineRow } from './internal/frozen-run.ts'
import { holdWorkspace } from './internal/run-store.server.ts'

export interface ReleaseInput {
  workspaceId: string
  runId: string
}

type Local = Exclude<Resolution, 'adopt' | 'correct'>

/**
 * An operator looked at a held run and decides by one click what becomes of it: it goes on, it is re-issued as a new revision with
 * the same frozen lines, or it was settled outside of Stripe. Nothing is re-priced. What needs Stripe to be asked first is in
 * adopt-invoice.
 * @returns the run that goes on
 * @throws AppError conflict `run_not_held`, `resolution_not_possible`; bad_request `note_missing`
 */
export async function resolveInvoiceRun(
  ctx: OperatorCtx,
  { workspaceId, runId, resolution, note = '' }: ReleaseInput & { resolution: Local; note?: string },
): Promise<{ runId: string }> {
  authorize(ctx, 'operate:Platform', { workspaceId })
  if (resolution === 'settle' && !note.trim()) throw settlementNeedsNote()
  const now = ctx.now()
  return inSystem(async (tx) => {
    const run = await lockForResolution(tx, { workspaceId, runId }, resolution)
    const next = await act[resolution](tx, run, now, note.trim())
    await recordAudit(tx, {
      workspaceId,
      actor: ctx.actor,
      action: `invoice_run.${resolution === 'settle' ? 'settled' : 'released'}`,
      subjectType: 'invoice_run',
      subjectId: runId,
      detail: { month: run.month, reason: run.heldReason ?? '', resolution, nextRun: next, ...(note && { note }) },
      at: now,
    })
    return { runId: next }
  })
}

/** The resolution that lets a run go on: resuming it, or where its invoice is gone, re-issuing it. */
export async function releaseInvoiceRun(ctx: OperatorCtx, input: ReleaseInput): Promise<{ runId: string }> {
  authorize(ctx, 'operate:Platform', { workspaceId: input.workspaceId })
  const run = await inSystem((tx) =>
    tx.invoiceRun.findUnique({ where: { workspaceId_id: { workspaceId: input.workspaceId, id: input.runId } } }),
  )
  if (!run) throw notFound('Invoice run')
  if (run.state !== 'held') throw runNotHeld(run.state)
  const reissued = resolutionsOf(run.state, run.heldReason).includes('reissue')
  return resolveInvoiceRun(ctx, { ...input, resolution: reissued ? 'reissue' : 'resume' })
}

/** Runs that only waited for the customer's address go on once it may have changed (stripe §4 case 26). */
export async function releaseTaxHolds(tx: Tx, workspaceId: string, now: Date): Promise<number> {
  // Under lock: an operator may be settling one at this moment, and what was settled must not go on.
  await tx.$queryRaw`SELECT 1 FROM invoice_runs WHERE workspace_id = ${workspaceId}::uuid AND state = 'held' ORDER BY id FOR UPDATE`
  const runs = await tx.invoiceRun.findMany({ where: { workspaceId, state: 'held', heldReason: 'tax_location' } })
  for (const run of runs) await resume(tx, run, now)
  return runs.length
}

/** @throws AppError conflict where the run is not held, or not for a reason that this resolves */
export async function lockForResolution(
  tx: Tx,
  { workspaceId, runId }: ReleaseInput,
  resolution: Resolution,
): Promise<InvoiceRun> {
  await holdWorkspace(tx, workspaceId)
  await tx.$queryRaw`SELECT 1 FROM invoice_runs WHERE workspace_id = ${workspaceId}::uuid AND id = ${runId}::uuid FOR UPDATE`
  const run = await tx.invoiceRun.findUnique({ where: { workspaceId_id: { workspaceId, id: runId } } })
  if (!run) throw notFound('Invoice run')
  if (run.state !== 'held' && run.state !== 'uncollectable') throw runNotHeld(run.state)
  if (!resolutionsOf(run.state, run.heldReason).includes(resolution)) throw resolutionNotPossible(resolution)
  return run
}

async function resume(tx: Tx, run: InvoiceRun, now: Date): Promise<string> {
  await tx.invoiceRun.update({
    where: { workspaceId_id: { workspaceId: run.workspaceId, id: run.id } },
    data: {
      ...{ state: 'writing', heldReason: null, heldDetail: null, updatedAt: now },
      // Its customer is gone: it goes to the one that the workspace has now. An invoice that was begun is not taken along: it differs.
      ...(run.state === 'uncollectable' && { stripeCustomerId: null }),
    },
  })
  await resolveAlert(tx, 'invoice_run_held', run.id, now)
  const job = { workspaceId: run.workspaceId, runId: run.id }
  await enqueueJob(tx, 'write-invoice-run', job, { jobKey: `write:${run.id}` })
  return run.id
}

async function settle(tx: Tx, run: InvoiceRun, now: Date, note: string): Promise<string> {
  await tx.invoiceRun.update({
    where: { workspaceId_id: { workspaceId: run.workspaceId, id: run.id } },
    data: { state: 'settled', settledNote: note, updatedAt: now },
  })
  await resolveAlert(tx, 'invoice_run_held', run.id, now)
  return run.id
}

async function reissue(tx: Tx, run: InvoiceRun, now: Date): Promise<string> {
  const { workspaceId, id: oldId, month, kind } = run
  const rows = await tx.invoiceLine.findMany({ where: { workspaceId, runId: oldId }, orderBy: { position: 'asc' } })
  const lines = rows.map(toLine)
  const last = await tx.invoiceRun.findFirst({ where: { workspaceId, month, kind }, orderBy: { revision: 'desc' } })
  const revision = (last?.revision ?? run.revision) + 1
  const id = runIdOf(workspaceId, month as CalendarMonth, revision, kind as 'ai_usage' | 'correction')
  await tx.invoiceRun.update({
    where: { workspaceId_id: { workspaceId, id: oldId } },
    data: { state: 'superseded', updatedAt: now },
  })
  const { currency, openingResiduePico, exactPico, totalCents, closingResiduePico, calls, linesHash, terms } = run
  await tx.invoiceRun.create({
    data: {
      ...{ workspaceId, id, month, kind, revision, state: 'frozen' },
      ...{ currency, openingResiduePico, exactPico, totalCents, closingResiduePico, calls, linesHash },
      terms: terms ?? {},
      correctsRunId: run.correctsRunId,
      // The same place in the chain of residues: a re-issue freezes nothing anew.
      frozenAt: run.frozenAt,
      updatedAt: now,
    },
  })
  await tx.invoiceLine.createMany({ data: lines.map((line) => toLineRow(workspaceId, id, line)) })
  await tx.stripeOperation.createMany({ data: plannedOperations(workspaceId, id, lines) })
  await resolveAlert(tx, 'invoice_run_held', oldId, now)
  await enqueueJob(tx, 'write-invoice-run', { workspaceId, runId: id }, { jobKey: `write:${id}` })
  return id
}

const act: Record<Local, (tx: Tx, run: InvoiceRun, now: Date, note: string) => Promise<string>> = {
  resume,
  reissue,
  settle,
}
