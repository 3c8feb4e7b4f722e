import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { displayMinor, picoPerMinor } from '#app/domain/pricing/currency.ts'
import type { InvoiceRun } from '#app/generated/prisma/client.ts'
import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import type { InvoiceLine } from './billing.ts'
import { hashLines } from './compute-invoice.ts'
import { nothingMissing, runBusy, stripeInvoiceGone } from './errors.ts'
import { withRunLock } from './internal/advisory-lock.server.ts'
import { billedOf, linesOnStripe } from './internal/compare-lines.ts'
import { plannedOperations, runIdOf, toLineRow } from './internal/frozen-run.ts'
import { performOperation } from './internal/perform-operation.ts'
import { holdWorkspace, loadRun, mirrorOf, runStore } from './internal/run-store.server.ts'
import { finalizeInvoice, findInvoice, listLines } from './internal/stripe.server.ts'
import type { StripeInvoice } from './internal/writer-ports.ts'
import { lockForResolution, type ReleaseInput } from './release-invoice-run.server.ts'

export type AdoptInput = ReleaseInput & { resolution: 'adopt' | 'correct' }

/**
 * Takes the invoice that Stripe holds as it is, although it differs from the frozen lines (stripe §4 cases 16, 18): a draft is
 * finalised as it stands. `adopt` lets the difference go, `correct` bills what is missing by a correction run of its own. A finalised
 * invoice is never edited.
 * @returns the run that goes on: the correction run where there is one
 * @throws AppError conflict `run_not_held`, `resolution_not_possible`, `run_busy`, `invoice_gone`, `nothing_missing` · StripeCallError
 */
export async function adoptInvoice(ctx: OperatorCtx, input: AdoptInput): Promise<{ runId: string }> {
  const { workspaceId, runId, resolution } = input
  authorize(ctx, 'operate:Platform', { workspaceId })
  const result = await withRunLock(runId, async () => {
    await inSystem((tx) => lockForResolution(tx, input, resolution))
    const { run, lines } = await loadRun(workspaceId, runId)
    const found = run.stripeInvoiceId ? await findInvoice(run.stripeInvoiceId) : null
    if (!found || found.status === 'void') throw stripeInvoiceGone()
    const missing = missingLines(lines, linesOnStripe(await listLines(found.id)))
    if (resolution === 'correct' && missing.length === 0) throw nothingMissing()
    const invoice = found.status === 'draft' ? await finalizeAsItIs(workspaceId, runId, found.id, ctx) : found
    return inSystem((tx) => record(tx, ctx, input, { run, invoice, missing }))
  })
  if (!result) throw runBusy()
  return { runId: result }
}

interface StripeAmount {
  lineKey: string | null
  amount: bigint
}

/**
 * What Stripe's invoice lacks of the frozen one, line by line. Amounts that it has too much (a line that somebody added or raised)
 * are taken off first, so that no more than the frozen total is ever billed.
 */
export function missingLines(lines: InvoiceLine[], onStripe: StripeAmount[]): InvoiceLine[] {
  const amounts = new Map<string, bigint>()
  let excess = 0n
  for (const { lineKey, amount } of onStripe) {
    const known = lineKey !== null && lines.some((line) => line.lineKey === lineKey)
    if (known) amounts.set(lineKey, (amounts.get(lineKey) ?? 0n) + amount)
    else excess += amount
  }
  const lacking = lines.map((line) => ({ line, amount: line.amountCents - (amounts.get(line.lineKey) ?? 0n) }))
  for (const { amount } of lacking) if (amount < 0n) excess -= amount
  return lacking.flatMap(({ line, amount }) => {
    if (amount <= 0n) return []
    const taken = excess > amount ? amount : excess > 0n ? excess : 0n
    excess -= taken
    const left = amount - taken
    const description = `Missing from an earlier invoice: ${line.description}`
    return left > 0n ? [{ ...line, description, amountCents: left }] : []
  })
}

async function finalizeAsItIs(
  workspaceId: string,
  runId: string,
  invoice: string,
  ctx: OperatorCtx,
): Promise<StripeInvoice> {
  const { operations } = await loadRun(workspaceId, runId)
  const operation = operations.find((one) => one.operation === 'finalize_invoice')
  if (!operation) throw new Error(`Run ${runId} has no planned finalize_invoice`)
  const find = async () => {
    const found = await findInvoice(invoice)
    return found && found.status !== 'draft' ? found : null
  }
  const send = (key: string) => finalizeInvoice(invoice, key)
  return performOperation(operation, { find, send, idOf: (value) => value.id }, { store: runStore, now: ctx.now })
}

interface Adopted {
  run: InvoiceRun
  invoice: StripeInvoice
  missing: InvoiceLine[]
}

async function record(
  tx: Tx,
  ctx: OperatorCtx,
  { resolution }: AdoptInput,
  { run, invoice, missing }: Adopted,
): Promise<string> {
  const { workspaceId, id, month, currency, totalCents } = run
  const billed = billedOf(invoice)
  const at = ctx.now()
  const note = `Stripe’s invoice of ${displayMinor(billed, currency)} was taken as it is; frozen were ${displayMinor(totalCents, currency)}.`
  await holdWorkspace(tx, workspaceId)
  await tx.invoiceRun.update({
    where: { workspaceId_id: { workspaceId, id } },
    data: {
      ...mirrorOf(invoice),
      state: 'done',
      heldReason: null,
      heldDetail: null,
      settledNote: note,
      finalizedAt: at,
      updatedAt: at,
    },
  })
  await resolveAlert(tx, 'invoice_run_held', id, at)
  const next = resolution === 'correct' ? await correctionRun(tx, run, missing, at) : id
  await recordAudit(tx, {
    workspaceId,
    actor: ctx.actor,
    action: resolution === 'correct' ? 'invoice_run.corrected' : 'invoice_run.adopted',
    subjectType: 'invoice_run',
    subjectId: id,
    detail: { month, frozenCents: totalCents.toString(), billedCents: billed.toString(), nextRun: next },
    at,
  })
  return next
}

/** A run that bills the missing amount. It stands outside of the chain of residues: what it bills was frozen before. */
async function correctionRun(tx: Tx, run: InvoiceRun, missing: InvoiceLine[], at: Date): Promise<string> {
  const { workspaceId, month, currency } = run
  const last = await tx.invoiceRun.findFirst({
    where: { workspaceId, month, kind: 'correction' },
    orderBy: { revision: 'desc' },
  })
  const revision = (last?.revision ?? 0) + 1
  const id = runIdOf(workspaceId, month as CalendarMonth, revision, 'correction')
  const lines = missing.map((line, index) => ({
    ...line,
    position: index + 1,
    exactPico: line.amountCents * picoPerMinor(currency),
  }))
  const totalCents = lines.reduce((sum, line) => sum + line.amountCents, 0n)
  await tx.invoiceRun.create({
    data: {
      ...{ workspaceId, id, month, kind: 'correction', revision, state: 'frozen', currency, totalCents },
      ...{ openingResiduePico: 0, closingResiduePico: 0, exactPico: (totalCents * picoPerMinor(currency)).toString() },
      ...{ calls: lines.reduce((sum, line) => sum + line.calls, 0n), linesHash: hashLines(lines) },
      ...{ correctsRunId: run.id, frozenAt: at, updatedAt: at },
    },
  })
  await tx.invoiceLine.createMany({ data: lines.map((line) => toLineRow(workspaceId, id, line)) })
  await tx.stripeOperation.createMany({ data: plannedOperations(workspaceId, id, lines) })
  await enqueueJob(tx, 'write-invoice-run', { workspaceId, runId: id }, { jobKey: `write:${id}` })
  return id
}
