import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { runBusy, runNotInReview, settlementNeedsNote } from './errors.ts'
import { withRunLock } from './internal/advisory-lock.server.ts'
import { holdWorkspace } from './internal/run-store.server.ts'
import type { ReleaseInput } from './release-invoice-run.server.ts'

const longestReviewHours = 720

/** How long written drafts wait for an operator before they are finalised on their own, in hours; 0: not at all. */
export async function readReviewHours(ctx: OperatorCtx): Promise<number> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const row = await inSystem((tx) => tx.billingSettings.findUnique({ where: { id: 1 } }))
  return row?.reviewHours ?? 0
}

/** Sets the review window. Drafts that wait already keep theirs. @throws AppError bad_request `invalid_hours` */
export async function setReviewHours(ctx: OperatorCtx, { hours }: { hours: number }): Promise<void> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  if (!Number.isInteger(hours) || hours < 0 || hours > longestReviewHours)
    throw new AppError('bad_request', 'invalid_hours', `Enter whole hours from 0 to ${longestReviewHours}.`, {
      field: 'hours',
    })
  const at = ctx.now()
  await inSystem(async (tx) => {
    const row = { reviewHours: hours, updatedAt: at }
    await tx.billingSettings.upsert({ where: { id: 1 }, create: { id: 1, ...row }, update: row })
    await recordAudit(tx, {
      workspaceId: null,
      actor: ctx.actor,
      action: 'billing.review_window_set',
      subjectType: 'billing_settings',
      subjectId: '1',
      detail: { hours: String(hours) },
      at,
    })
  })
}

const unfinished = ['frozen', 'writing', 'review']

async function lockUnfinished(tx: Tx, { workspaceId, runId }: ReleaseInput) {
  await holdWorkspace(tx, workspaceId)
  await tx.$queryRaw`SELECT 1 FROM invoice_runs WHERE workspace_id = ${workspaceId}::uuid AND id = ${runId}::uuid FOR UPDATE`
  const run = await tx.invoiceRun.findUnique({ where: { workspaceId_id: { workspaceId, id: runId } } })
  if (!run) throw notFound('Invoice run')
  if (!unfinished.includes(run.state)) throw runNotInReview(run.state)
  return run
}

/** Lets a draft be finalised without waiting for the end of its window. @throws AppError conflict `run_not_in_review` */
export async function approveInvoiceRun(ctx: OperatorCtx, input: ReleaseInput): Promise<void> {
  authorize(ctx, 'operate:Platform', { workspaceId: input.workspaceId })
  const at = ctx.now()
  const { workspaceId, runId } = input
  await inSystem(async (tx) => {
    const run = await lockUnfinished(tx, input)
    const where = { workspaceId_id: { workspaceId, id: runId } }
    await tx.invoiceRun.update({ where, data: { approvedAt: at, updatedAt: at } })
    await enqueueJob(tx, 'write-invoice-run', { workspaceId, runId }, { jobKey: `write:${runId}` })
    await recordAudit(tx, {
      ...{
        workspaceId,
        actor: ctx.actor,
        action: 'invoice_run.approved',
        subjectType: 'invoice_run',
        subjectId: runId,
      },
      ...{ detail: { month: run.month, totalCents: run.totalCents.toString() }, at },
    })
  })
}

/**
 * Stops a run before it is finalised, with a reason. While it is being written this waits for nobody: it says so, and is tried
 * again. @throws AppError conflict `run_not_in_review`, `run_busy`; bad_request `note_missing`
 */
export async function holdInvoiceRun(ctx: OperatorCtx, input: ReleaseInput & { reason: string }): Promise<void> {
  authorize(ctx, 'operate:Platform', { workspaceId: input.workspaceId })
  const reason = input.reason.trim()
  if (!reason) throw settlementNeedsNote()
  const at = ctx.now()
  const { workspaceId, runId } = input
  const held = await withRunLock(runId, () =>
    inSystem(async (tx) => {
      const run = await lockUnfinished(tx, input)
      await tx.invoiceRun.update({
        where: { workspaceId_id: { workspaceId, id: runId } },
        data: { state: 'held', heldReason: 'operator_hold', heldDetail: reason, updatedAt: at },
      })
      await recordAudit(tx, {
        ...{ workspaceId, actor: ctx.actor, action: 'invoice_run.held', subjectType: 'invoice_run', subjectId: runId },
        ...{ detail: { month: run.month, reason }, at },
      })
      return true
    }),
  )
  if (!held) throw runBusy()
}
