import { z } from 'zod'
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { displayMinor, minorStep } from '#app/domain/pricing/currency.ts'
import type { CreditNote, InvoiceLine } from '#app/generated/prisma/client.ts'
import type { Clock } from '#app/platform/clock.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { newId } from '#app/platform/ids.ts'
import { RunStopped } from './errors.ts'
import { withRunLock } from './internal/advisory-lock.server.ts'
import { performOperation } from './internal/perform-operation.ts'
import { holdWorkspace, loadRun, runStore } from './internal/run-store.server.ts'
import { createCreditNote, listCreditNotes, paidPartOf } from './internal/stripe-credit-notes.server.ts'
import type { ReleaseInput } from './release-invoice-run.server.ts'

export const creditReasons = ['duplicate', 'fraudulent', 'order_change', 'product_unsatisfactory'] as const
export type CreditReason = (typeof creditReasons)[number]

/** What is given back of one line, in minor units, and how what was paid already goes back. */
export interface CreditInput extends ReleaseInput {
  lines: { lineKey: string; amountCents: bigint }[]
  reason: CreditReason
  memo: string
  /** `balance`: onto the customer's balance at Stripe · `refund`: back to the payment method. */
  back: 'balance' | 'refund'
  /** Credit notes there were when it was decided: a double click, or a colleague, must not give the same back twice. */
  seenNotes?: number
}

const storedLines = z.object({
  back: z.enum(['balance', 'refund']),
  lines: z.array(z.object({ lineKey: z.string(), amountCents: z.string() })),
})

const refuse = (code: string, text: string, field?: string) =>
  new AppError('conflict', code, text, field ? { field } : {})

/** What was credited of each line before, refused ones apart. */
function creditedBefore(notes: CreditNote[]): Map<string, bigint> {
  const sums = new Map<string, bigint>()
  for (const note of notes.filter(({ state }) => state !== 'refused'))
    for (const { lineKey, amountCents } of storedLines.parse(note.lines).lines)
      sums.set(lineKey, (sums.get(lineKey) ?? 0n) + BigInt(amountCents))
  return sums
}

/** At most what was billed and not given back, in amounts that Stripe takes. @throws AppError conflict `credit_too_large`, `amount_not_possible` */
function requirePossible(
  given: CreditInput['lines'],
  { lines, currency }: { lines: InvoiceLine[]; currency: string },
  before: Map<string, bigint>,
): void {
  const step = minorStep(currency)
  for (const { lineKey, amountCents } of given) {
    const line = lines.find((one) => one.lineKey === lineKey)
    const left = (line?.amountCents ?? 0n) - (before.get(lineKey) ?? 0n)
    const what = line?.description ?? lineKey
    if (amountCents < 0n || amountCents > left)
      throw refuse('credit_too_large', `Of “${what}” at most ${displayMinor(left, currency)} can be credited.`, lineKey)
    if (amountCents % step !== 0n) {
      const least = displayMinor(step, currency)
      throw refuse('amount_not_possible', `Stripe takes ${currency.toUpperCase()} in steps of ${least} only.`, lineKey)
    }
  }
}

/**
 * Decides to give back part of a finalised invoice: at most what each line was billed, less what was credited of it before. A
 * finalised invoice is never edited; a job has Stripe issue the credit note, exactly once by the operations log.
 * @returns the credit note's id
 * @throws AppError not_found, conflict `invoice_not_creditable`, `credited_meanwhile`, `credit_too_large`, `amount_not_possible`, bad_request `note_missing`
 */
export async function creditInvoice(ctx: OperatorCtx, input: CreditInput): Promise<{ id: string }> {
  const { workspaceId, runId, lines, reason, back } = input
  authorize(ctx, 'operate:Platform', { workspaceId })
  const memo = input.memo.trim()
  if (!memo)
    throw new AppError('bad_request', 'note_missing', 'Say what it is for: it stands on the credit note.', {
      field: 'memo',
    })
  const at = ctx.now()
  const id = newId(at)
  await inSystem(async (tx) => {
    await holdWorkspace(tx, workspaceId)
    await tx.$queryRaw`SELECT 1 FROM invoice_runs WHERE workspace_id = ${workspaceId}::uuid AND id = ${runId}::uuid FOR UPDATE`
    const run = await tx.invoiceRun.findUnique({
      where: { workspaceId_id: { workspaceId, id: runId } },
      include: { lines: true, operations: { orderBy: { seq: 'desc' }, take: 1 } },
    })
    if (!run) throw notFound('Invoice run')
    if (run.state !== 'done' || !run.stripeInvoiceId || !['open', 'paid'].includes(run.stripeStatus ?? ''))
      throw refuse('invoice_not_creditable', 'Only an invoice that is open or paid can be credited.')
    const notes = await tx.creditNote.findMany({ where: { workspaceId, runId } })
    if (input.seenNotes !== undefined && input.seenNotes !== notes.length)
      throw refuse('credited_meanwhile', 'Another credit note was decided meanwhile. Look at it, then decide again.')
    const given = lines.filter((line) => line.amountCents !== 0n)
    requirePossible(given, run, creditedBefore(notes))
    const amountCents = given.reduce((sum, line) => sum + line.amountCents, 0n)
    if (amountCents === 0n) throw refuse('credit_too_large', 'Enter an amount for at least one line.')
    const stored = { back, lines: given.map((line) => ({ ...line, amountCents: line.amountCents.toString() })) }
    await tx.creditNote.create({
      data: {
        ...{ workspaceId, id, runId, reason, memo, amountCents, lines: stored, state: 'planned' },
        ...{ issuedBy: ctx.actor.id, createdAt: at, updatedAt: at },
      },
    })
    const seq = (run.operations[0]?.seq ?? 0) + 1
    const operation = { workspaceId, runId, seq, operation: 'create_credit_note', lineKey: id, state: 'planned' }
    await tx.stripeOperation.create({ data: operation })
    await enqueueJob(tx, 'issue-credit-note', { workspaceId, runId, creditNoteId: id }, { jobKey: `credit:${id}` })
    await recordAudit(tx, {
      ...{ workspaceId, actor: ctx.actor, action: 'credit_note.decided', subjectType: 'invoice_run', subjectId: runId },
      ...{ detail: { creditNote: id, amountCents: amountCents.toString(), reason, back }, at },
    })
  })
  return { id }
}

/**
 * Has Stripe issue a credit note that was decided, exactly once: what was ever sent is looked for by its id before it is sent again.
 * @returns its state; `busy` while the run is written elsewhere
 * @throws StripeCallError where the outcome is unknown for now: the job comes again
 */
export async function issueCreditNote(
  { workspaceId, runId, creditNoteId: id }: ReleaseInput & { creditNoteId: string },
  now: Clock,
): Promise<'issued' | 'refused' | 'busy'> {
  const where = { workspaceId_id: { workspaceId, id } }
  const result = await withRunLock(runId, async () => {
    const note = await inSystem((tx) => tx.creditNote.findUnique({ where }))
    if (!note) throw notFound('Credit note')
    if (note.state !== 'planned') return note.state as 'issued' | 'refused'
    try {
      const issued = await send(note, now)
      const data = { state: 'issued', stripeCreditNoteId: issued.id, number: issued.number, updatedAt: now() }
      await inSystem((tx) => tx.creditNote.update({ where, data }))
      return 'issued'
    } catch (error) {
      if (!(error instanceof RunStopped)) throw error
      await refused(note, error.detail, now())
      return 'refused'
    }
  })
  return result ?? 'busy'
}

async function send(note: CreditNote, now: Clock) {
  const { run, operations } = await loadRun(note.workspaceId, note.runId)
  const operation = operations.find((one) => one.operation === 'create_credit_note' && one.lineKey === note.id)
  const invoice = run.stripeInvoiceId
  if (!operation || !invoice) throw new Error(`Credit note ${note.id} has no planned operation`)
  const amount = Number(note.amountCents)
  const { back } = storedLines.parse(note.lines)
  return performOperation(
    operation,
    {
      lookFirst: true,
      find: async () =>
        (await listCreditNotes(invoice)).find((one) => one.metadata?.credit_note_id === note.id) ?? null,
      send: async (key) => {
        const paid = await paidPartOf(invoice, amount)
        const parts = paid === 0 ? {} : back === 'refund' ? { refund_amount: paid } : { credit_amount: paid }
        const metadata = { credit_note_id: note.id, run_id: note.runId, workspace_id: note.workspaceId }
        const request = { invoice, amount, ...parts, memo: note.memo, reason: note.reason as CreditReason, metadata }
        return createCreditNote(request, key)
      },
      idOf: (value) => value.id,
    },
    { store: runStore, now },
  )
}

async function refused(note: CreditNote, failure: string, at: Date): Promise<void> {
  const { workspaceId, id } = note
  await inSystem(async (tx) => {
    await tx.creditNote.update({
      where: { workspaceId_id: { workspaceId, id } },
      data: { state: 'refused', failure, updatedAt: at },
    })
    await raiseAlert(tx, {
      kind: 'credit_note_refused',
      reference: id,
      workspaceId,
      message: `Stripe refused a credit note (${failure}). Nothing was given back; see the invoice, and decide again.`,
      at,
    })
  })
}
