/** The run's own record of itself. Every step is a transaction of its own: after a crash the log says what was being done. */
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import type { InvoiceRun, StripeOperation } from '#app/generated/prisma/client.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import type { RunStopped } from '../errors.ts'
import { toLine } from './frozen-run.ts'
import type { Receipt, RunBundle, RunStore, StripeInvoice, WrittenRun } from './writer-ports.ts'

/**
 * A run with everything behind it. Its customer is the one that it is billed to: the workspace may have been linked to another since.
 * @throws AppError not_found
 */
export async function loadRun(workspaceId: string, runId: string): Promise<RunBundle & { run: InvoiceRun }> {
  const found = await inSystem((tx) =>
    tx.invoiceRun.findUnique({
      where: { workspaceId_id: { workspaceId, id: runId } },
      include: {
        lines: { orderBy: { position: 'asc' } },
        operations: { orderBy: { seq: 'asc' } },
        workspace: { select: { name: true, slug: true, stripeCustomerId: true } },
      },
    }),
  )
  if (!found) throw notFound('Invoice run')
  const { lines, operations, workspace, ...run } = found
  const stripeCustomerId = run.stripeCustomerId ?? workspace.stripeCustomerId
  return { run, lines: lines.map(toLine), operations, workspace: { ...workspace, stripeCustomerId } }
}

type OperationId = Pick<StripeOperation, 'workspaceId' | 'runId' | 'seq'>
const key = ({ workspaceId, runId, seq }: OperationId) => ({ workspaceId_runId_seq: { workspaceId, runId, seq } })

/** Committed before Stripe is asked: a crash from here on finds `sent` and looks before it asks again. */
async function markSent(
  operation: StripeOperation,
  attempt: number,
  idempotencyKey: string,
  now: Date,
): Promise<StripeOperation> {
  const again = operation.state === 'sent' && operation.attempt === attempt
  const firstSentAt = again ? (operation.firstSentAt ?? now) : now
  const data = { state: 'sent', attempt, idempotencyKey, firstSentAt, lastSentAt: now, errorCode: null }
  return inSystem((tx) => tx.stripeOperation.update({ where: key(operation), data }))
}

async function markDone(
  operation: OperationId,
  stripeId: string,
  receipt: Pick<Receipt<unknown>, 'requestId' | 'replayed'>,
  now: Date,
) {
  const data = {
    state: 'done',
    stripeId,
    requestId: receipt.requestId,
    replayed: receipt.replayed,
    doneAt: now,
    errorCode: null,
  }
  return inSystem((tx) => tx.stripeOperation.update({ where: key(operation), data }))
}

/** Known not to have happened: the next try needs another key. */
async function markFailed(operation: OperationId, errorCode: string): Promise<StripeOperation> {
  return inSystem((tx) => tx.stripeOperation.update({ where: key(operation), data: { state: 'failed', errorCode } }))
}

async function markWriting(run: WrittenRun, now: Date): Promise<void> {
  await inSystem((tx) =>
    tx.invoiceRun.updateMany({
      where: { workspaceId: run.workspaceId, id: run.id, state: 'frozen' },
      data: { state: 'writing', updatedAt: now },
    }),
  )
}

async function recordInvoiceId(run: WrittenRun, stripeInvoiceId: string, now: Date): Promise<void> {
  await inSystem((tx) =>
    tx.invoiceRun.update({
      where: { workspaceId_id: { workspaceId: run.workspaceId, id: run.id } },
      data: { stripeInvoiceId, stripeStatus: 'draft', updatedAt: now },
    }),
  )
}

async function recordItemIds(run: WrittenRun, itemIds: Map<string, string>): Promise<void> {
  await inSystem(async (tx) => {
    for (const [lineKey, stripeItemId] of itemIds) {
      await tx.invoiceLine.updateMany({
        where: { workspaceId: run.workspaceId, runId: run.id, lineKey },
        data: { stripeItemId },
      })
    }
  })
}

/** What our pages show of Stripe's invoice. */
export const mirrorOf = (invoice: StripeInvoice) => ({
  stripeInvoiceNumber: invoice.number,
  stripeStatus: invoice.status,
  hostedInvoiceUrl: invoice.hosted_invoice_url ?? null,
})

/**
 * Taken before a run's row by whoever writes an audit row after it: that needs the workspace, which linking and suspending lock first
 * and its runs after. In another order each would wait for the other, and PostgreSQL end one of them.
 */
export async function holdWorkspace(tx: Tx, workspaceId: string): Promise<void> {
  await tx.$queryRaw`SELECT 1 FROM workspaces WHERE id = ${workspaceId}::uuid FOR KEY SHARE`
}

async function recordDone(run: WrittenRun, invoice: StripeInvoice, now: Date): Promise<void> {
  const finalizedAt = invoice.status_transitions.finalized_at
  await inSystem(async (tx) => {
    await holdWorkspace(tx, run.workspaceId)
    await tx.invoiceRun.update({
      where: { workspaceId_id: { workspaceId: run.workspaceId, id: run.id } },
      data: {
        ...mirrorOf(invoice),
        state: 'done',
        heldReason: null,
        heldDetail: null,
        finalizedAt: finalizedAt ? new Date(finalizedAt * 1000) : now,
        updatedAt: now,
      },
    })
    // A crash may have left steps at `sent`; the comparison with Stripe has just shown that they happened.
    await tx.stripeOperation.updateMany({
      where: { workspaceId: run.workspaceId, runId: run.id, state: { not: 'done' } },
      data: { state: 'done', doneAt: now, errorCode: null },
    })
    await resolveAlert(tx, 'invoice_run_held', run.id, now)
    await recordAudit(tx, {
      workspaceId: run.workspaceId,
      actor: { kind: 'system' },
      action: 'invoice_run.finalized',
      subjectType: 'invoice_run',
      subjectId: run.id,
      detail: {
        month: run.month,
        totalCents: run.totalCents.toString(),
        invoice: invoice.id,
        number: invoice.number ?? '',
      },
      at: now,
    })
  })
}

export async function recordStopped(run: WrittenRun, stopped: RunStopped, now: Date): Promise<void> {
  await inSystem(async (tx) => {
    await holdWorkspace(tx, run.workspaceId)
    // While Stripe was slow to answer, an event may have held the run and an operator re-issued or settled it: held again, it
    // could be re-issued a second time, and the month be billed twice.
    const { count } = await tx.invoiceRun.updateMany({
      where: { workspaceId: run.workspaceId, id: run.id, state: { in: ['frozen', 'writing', 'review'] } },
      data: { state: stopped.state, updatedAt: now },
    })
    if (count > 0) await noteStopped(tx, run, stopped, now)
  })
}

/** Why a run that is held or uncollectable stands still: on the run, as an alert, and in the audit trail. */
export async function noteStopped(
  tx: Tx,
  run: Pick<WrittenRun, 'workspaceId' | 'id' | 'month'>,
  stopped: RunStopped,
  now: Date,
): Promise<void> {
  await tx.invoiceRun.update({
    where: { workspaceId_id: { workspaceId: run.workspaceId, id: run.id } },
    data: { heldReason: stopped.reason, heldDetail: stopped.detail },
  })
  await raiseAlert(tx, {
    kind: 'invoice_run_held',
    reference: run.id,
    workspaceId: run.workspaceId,
    message: `Invoice of ${run.month}: ${stopped.remedy} (${stopped.detail})`,
    at: now,
  })
  await recordAudit(tx, {
    workspaceId: run.workspaceId,
    actor: { kind: 'system' },
    action: `invoice_run.${stopped.state}`,
    subjectType: 'invoice_run',
    subjectId: run.id,
    detail: { month: run.month, reason: stopped.reason },
    at: now,
  })
}

async function tellSpentKey(operation: StripeOperation, code: string, now: Date): Promise<void> {
  await inSystem((tx) =>
    raiseAlert(tx, {
      kind: 'stripe_key_spent',
      reference: `${operation.runId}:${operation.seq}`,
      workspaceId: operation.workspaceId,
      message: `Stripe replays a failure (${code}) for ${operation.operation}; it goes on under another key.`,
      at: now,
    }),
  )
}

export const runStore: RunStore = {
  markWriting,
  markSent,
  markDone,
  markFailed,
  recordInvoiceId,
  recordItemIds,
  recordDone,
  recordStopped,
  tellSpentKey,
}
