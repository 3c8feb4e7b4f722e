import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { displayExact, minorStep, picoPerMinor } from '#app/domain/pricing/currency.ts'
import { type CalendarMonth, monthToDate } from '#app/platform/calendar-month.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { type ComputedInvoice, dollarLine, monthHasEnded, type RunState } from './billing.ts'
import { computeInvoice } from './compute-invoice.ts'
import { monthNotOver, RunStopped } from './errors.ts'
import { plannedOperations, runIdOf, stateOf, toLineRow } from './internal/frozen-run.ts'
import {
  beginClose,
  type ForeignBooks,
  gatherMonth,
  type MonthTerms,
  storeTerms,
} from './internal/invoice-input.server.ts'
import { noteStopped } from './internal/run-store.server.ts'
import { frozenAfter, residueOf } from './internal/usage-buckets.server.ts'

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
    const begun = await beginClose(tx, workspaceId, month)
    if (begun.known) return { ...begun.known, created: false }
    const { terms, last, sums, foreign } = begun
    const { input, empty } = await gatherMonth(tx, workspaceId, month, { terms, sums })
    const invoice = computeInvoice({ ...input, openingResiduePico: residueOf(last) })
    await tellOfCredit(tx, workspaceId, invoice, terms.leaving, now)
    // A workspace that has left is billed what was carried, although its month is empty.
    if (empty && !(terms.leaving && invoice.outcome === 'bill')) return null
    const { runId, state } = await storeRun(tx, { workspaceId, invoice, terms, foreign, at: frozenAfter(last, now) })
    return { runId, state, created: true }
  })
}

/**
 * A credit is taken up by the next invoice. Where none comes any more it is the customer's money all the same. Every month's close
 * comes by here: what an operator has dismissed as dealt with is not told again, or somebody gives it back a second time.
 */
async function tellOfCredit(
  tx: Tx,
  workspaceId: string,
  { openingResiduePico, closingResiduePico, currency }: ComputedInvoice,
  leaving: boolean,
  at: Date,
): Promise<void> {
  const about = { kind: 'credit_left_over', reference: workspaceId }
  const least = -picoPerMinor(currency) * minorStep(currency)
  if (leaving && closingResiduePico <= least) {
    const message = `The workspace has left with a credit of ${displayExact(-closingResiduePico, currency)}. Give it back in Stripe, or by a credit note on an invoice that it was charged too much by, then dismiss this. It stays in the books: should the workspace come back, its next invoice takes it up all the same.`
    const dealtWith = openingResiduePico === closingResiduePico && { ...about, message, resolvedAt: { not: null } }
    if (dealtWith && (await tx.alert.findFirst({ where: dealtWith }))) return
    return raiseAlert(tx, { ...about, workspaceId, message, at })
  }
  if (openingResiduePico <= least) await resolveAlert(tx, about.kind, about.reference, at)
}

interface NewRun {
  workspaceId: string
  invoice: ComputedInvoice
  terms: MonthTerms
  foreign: ForeignBooks
  at: Date
}

/** Stores everything, closed month included, in one statement, and has the run written to Stripe. */
async function storeRun(
  tx: Tx,
  { workspaceId, invoice, terms, foreign, at }: NewRun,
): Promise<{ runId: string; state: RunState }> {
  const { month, outcome, lines: computed, totalCents, linesHash } = invoice
  const runId = runIdOf(workspaceId, month, 1)
  const held = outcome === 'bill' ? currencyProblem(invoice, foreign) : null
  const state = held ? 'held' : stateOf(outcome)
  const run = { ...invoice, lines: undefined, id: runId, state, terms: storeTerms(terms), frozenAt: at }
  const lines = computed.map((line) => toLineRow(workspaceId, runId, line))
  const operations = outcome === 'bill' ? plannedOperations(workspaceId, runId, computed) : []
  await tx.$executeRaw`
    SELECT store_frozen_run(${workspaceId}::uuid, ${monthToDate(month)}::date, ${toJson(run)}::json, ${toJson(lines)}::json,
      ${toJson(operations)}::json)`
  if (held) await noteStopped(tx, { workspaceId, id: runId, month }, held, at)
  else if (outcome === 'bill')
    await enqueueJob(tx, 'write-invoice-run', { workspaceId, runId }, { jobKey: `write:${runId}` })
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

/** Integers as text: they may pass 2^53. */
const toJson = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? part.toString() : part))

/**
 * Amounts that do not belong into the invoice's currency (stripe §4 case 23): modes that reckon with costs in dollars, and
 * calls that were priced by another currency's price book. Prices were refused where they were set; this is the last look.
 */
function currencyProblem(invoice: ComputedInvoice, foreign: ForeignBooks): RunStopped | null {
  const { currency, lines } = invoice
  const inDollars = dollarLine(invoice)
  if (inDollars) return RunStopped.held('needs_dollars', `${inDollars.lineKey}, billed in ${currency}`)
  const priced = lines.filter((line) => line.chargeMode === 'tier' || line.kind === 'usage')
  const version = priced.flatMap((line) => line.priceBookVersion ?? []).find((one) => foreign[one])
  return version === undefined
    ? null
    : RunStopped.held('price_currency', `price book ${version} is in ${foreign[version]}, the workspace in ${currency}`)
}
