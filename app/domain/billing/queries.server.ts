import { authorize, type Ctx, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import type { InvoiceRun } from '#app/generated/prisma/client.ts'
import { type CalendarMonth, monthEnd, monthStart, monthToDate } from '#app/platform/calendar-month.ts'
import { inSystem, inTenant } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'
import {
  type ComputedInvoice,
  HELD_REASONS,
  type HeldReason,
  type InvoiceLine,
  type LineDetail,
  type LineKind,
  type RunState,
} from './billing.ts'
import { toLine } from './internal/frozen-run.ts'
import { currentTerms, gatherMonth } from './internal/invoice-input.server.ts'
import { loadRun } from './internal/run-store.server.ts'

/** What pages show. Amounts are texts of integers (`…Pico` 1e-12 USD, `…Cents`): they may pass 2^53 and never were floats. */
export interface UsageThisMonth {
  month: CalendarMonth
  /** Of all but what providers bill, which is USD. */
  currency: string
  /** Calls on the platform's key and their tier prices. */
  platformCalls: string
  platformPricePico: string
  /** What calls on the platform's key drew from credits: not on the invoice. */
  creditPico: string
  /** Calls on the workspace's key: what is owed to us, and what the provider billed the key's owner directly. */
  ownKeyCalls: string
  marginPico: string
  providerBilledPico: string
  /** Own-key calls whose cost is not known yet: counted at 0 until it is. */
  heldCalls: string
  /** What the calls come to on our invoice. */
  exactPico: string
  /** What the invoice will hold beside the calls; a fee by the second as if keys stayed as they are until the month ends. */
  feePico: string
  usagePico: string
  correctionPico: string
}

/** The three parts of a month's AI usage, from the rollups (platform price, margin, billed by the provider), and what the invoice holds beside them. */
export async function getUsageOfMonth(ctx: Ctx, month: CalendarMonth): Promise<UsageThisMonth> {
  authorize(ctx, 'read:Invoice', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  const { input, heldCalls } = await inTenant({ workspaceId }, async (tx) =>
    gatherMonth(tx, workspaceId, month, { terms: await currentTerms(tx, workspaceId) }),
  )
  const { buckets, fees = [], meters = [], corrections = [] } = input
  const own = buckets.filter((bucket) => bucket.keySource === 'workspace')
  const platform = buckets.filter((bucket) => bucket.keySource !== 'workspace')
  const sum = <T>(rows: T[], pick: (row: T) => bigint) => rows.reduce((total, row) => total + pick(row), 0n)
  return {
    month,
    currency: input.currency ?? 'usd',
    platformCalls: sum(platform, (row) => row.calls).toString(),
    platformPricePico: sum(platform, (row) => row.chargePico).toString(),
    creditPico: sum(platform, (row) => row.creditPico).toString(),
    ownKeyCalls: sum(own, (row) => row.calls).toString(),
    marginPico: sum(own, (row) => row.chargePico).toString(),
    providerBilledPico: sum(own, (row) => row.rawCostPico).toString(),
    heldCalls: heldCalls.toString(),
    exactPico: sum(buckets, (row) => row.chargePico).toString(),
    feePico: sum(fees, (row) => row.exactPico).toString(),
    usagePico: sum(meters, (row) => row.chargePico).toString(),
    correctionPico: sum(corrections, (row) => row.afterPico - row.beforePico).toString(),
  }
}

export interface InvoiceSummary {
  runId: string
  workspaceId: string
  month: CalendarMonth
  revision: number
  state: RunState
  /** Why it is held and what to do, for operators; customers see only that it is being looked at. */
  heldReason: string | null
  heldRemedy: string | null
  heldDetail: string | null
  currency: string
  calls: string
  openingResiduePico: string
  exactPico: string
  totalCents: string
  closingResiduePico: string
  linesHash: string
  /** Over every call behind the invoice; null until the closed month was hashed. */
  callsHash: string | null
  kind: 'ai_usage' | 'correction'
  reviewUntil: string | null
  settledNote: string | null
  stripeInvoiceNumber: string | null
  /** `draft`, `open`, `paid`, `void`, `uncollectible` as Stripe last said. */
  stripeStatus: string | null
  hostedInvoiceUrl: string | null
  frozenAt: string
  finalizedAt: string | null
}

const toSummary = (run: InvoiceRun): InvoiceSummary => ({
  runId: run.id,
  workspaceId: run.workspaceId,
  month: run.month as CalendarMonth,
  revision: run.revision,
  state: run.state as RunState,
  heldReason: run.heldReason,
  heldRemedy:
    run.heldReason && run.heldReason in HELD_REASONS ? HELD_REASONS[run.heldReason as HeldReason].remedy : null,
  heldDetail: run.heldDetail,
  currency: run.currency,
  calls: run.calls.toString(),
  openingResiduePico: run.openingResiduePico.toFixed(0),
  exactPico: run.exactPico.toFixed(0),
  totalCents: run.totalCents.toString(),
  closingResiduePico: run.closingResiduePico.toFixed(0),
  linesHash: run.linesHash,
  callsHash: run.callsHash,
  kind: run.kind as InvoiceSummary['kind'],
  reviewUntil: run.reviewUntil?.toISOString() ?? null,
  settledNote: run.settledNote,
  stripeInvoiceNumber: run.stripeInvoiceNumber,
  stripeStatus: run.stripeStatus,
  hostedInvoiceUrl: run.hostedInvoiceUrl,
  frozenAt: run.frozenAt.toISOString(),
  finalizedAt: run.finalizedAt?.toISOString() ?? null,
})

/** What only operators can act on stays with them; a missing tax address is the customer's own to complete. */
const forCustomers = (summary: InvoiceSummary): InvoiceSummary => ({
  ...summary,
  heldReason: summary.heldReason === 'tax_location' ? summary.heldReason : null,
  heldRemedy: null,
  heldDetail: null,
  settledNote: null,
})

/** The workspace's closed months, newest first, without superseded revisions and without what only operators may read. */
export async function listInvoices(ctx: Ctx): Promise<InvoiceSummary[]> {
  authorize(ctx, 'read:Invoice', { workspaceId: ctx.workspaceId })
  const rows = await inTenant({ workspaceId: ctx.workspaceId }, (tx) =>
    tx.invoiceRun.findMany({
      where: { workspaceId: ctx.workspaceId, state: { not: 'superseded' } },
      orderBy: [{ month: 'desc' }, { revision: 'desc' }],
    }),
  )
  return rows.map((row) => forCustomers(toSummary(row)))
}

/** Which calls stand behind a line: for a link to the calls page. null: no calls do (an amount carried forward). */
export interface LineCallsFilter {
  /** First day of the month whose invoice carries the calls. */
  billingMonth: string
  /** Instants between which they were dispatched; half-open. */
  from: string
  to: string
  /** Each null where the line mixes several (the collapsed tail). */
  chargeMode: string | null
  tier: string | null
  keySource: string | null
  priceBookVersion: number | null
}

export interface InvoiceLineView {
  lineKey: string
  description: string
  chargeMode: string
  tier: string
  keySource: string
  usageMonth: string
  priceBookVersion: number | null
  calls: string
  inputTokens: string
  outputTokens: string
  tierPricePico: string
  rawCostPico: string
  exactPico: string
  amountCents: string
  kind: LineKind
  position: number
  markupBp: number
  basisPico: string
  creditPico: string
  detail: LineDetail
  callsFilter: LineCallsFilter | null
}

export interface InvoiceDetail extends InvoiceSummary {
  lines: InvoiceLineView[]
}

function callsFilterOf(runMonth: CalendarMonth, line: InvoiceLine): LineCallsFilter | null {
  if (line.kind !== 'calls' && line.kind !== 'other') return null
  const mixed = line.chargeMode === 'mixed'
  const from = mixed ? new Date(0) : monthStart(line.usageMonth)
  return {
    billingMonth: monthToDate(runMonth),
    from: from.toISOString(),
    to: monthEnd(mixed ? runMonth : line.usageMonth).toISOString(),
    chargeMode: mixed ? null : line.chargeMode,
    tier: mixed ? null : line.tier,
    keySource: mixed ? null : line.keySource,
    priceBookVersion: line.priceBookVersion,
  }
}

const toLineView = (month: CalendarMonth, line: InvoiceLine): InvoiceLineView => ({
  lineKey: line.lineKey,
  description: line.description,
  chargeMode: line.chargeMode,
  tier: line.tier,
  keySource: line.keySource,
  usageMonth: line.usageMonth,
  priceBookVersion: line.priceBookVersion,
  calls: line.calls.toString(),
  inputTokens: line.inputTokens.toString(),
  outputTokens: line.outputTokens.toString(),
  tierPricePico: line.tierPricePico.toString(),
  rawCostPico: line.rawCostPico.toString(),
  exactPico: line.exactPico.toString(),
  amountCents: line.amountCents.toString(),
  kind: line.kind,
  position: line.position,
  markupBp: line.markupBp,
  basisPico: line.basisPico.toString(),
  creditPico: line.creditPico.toString(),
  detail: line.detail,
  callsFilter: callsFilterOf(month, line),
})

/** Frozen lines as pages show them. */
export const toLineViews = (month: CalendarMonth, rows: Parameters<typeof toLine>[0][]): InvoiceLineView[] =>
  rows.map((row) => toLineView(month, toLine(row)))

/** One invoice with its lines. @throws AppError not_found, alike for a missing and a foreign id */
export async function getInvoice(ctx: Ctx, runId: string): Promise<InvoiceDetail> {
  authorize(ctx, 'read:Invoice', { workspaceId: ctx.workspaceId })
  if (!isId(runId)) throw notFound('Invoice')
  const found = await inTenant({ workspaceId: ctx.workspaceId }, (tx) =>
    tx.invoiceRun.findUnique({
      where: { workspaceId_id: { workspaceId: ctx.workspaceId, id: runId } },
      include: { lines: { orderBy: { position: 'asc' } } },
    }),
  )
  if (!found) throw notFound('Invoice')
  const summary = toSummary(found)
  return {
    ...forCustomers(summary),
    lines: found.lines.map((line) => toLineView(summary.month, toLine(line))),
  }
}

/** A frozen run with its lines as they were computed, for the operator's command line. @throws AppError not_found */
export async function getFrozenInvoice(workspaceId: string, runId: string): Promise<Omit<ComputedInvoice, 'outcome'>> {
  const { run, lines } = await loadRun(workspaceId, runId)
  return {
    month: run.month as CalendarMonth,
    currency: run.currency,
    lines,
    calls: run.calls,
    openingResiduePico: BigInt(run.openingResiduePico.toFixed(0)),
    exactPico: BigInt(run.exactPico.toFixed(0)),
    totalCents: run.totalCents,
    closingResiduePico: BigInt(run.closingResiduePico.toFixed(0)),
    linesHash: run.linesHash,
  }
}

export interface OperatorInvoice extends InvoiceSummary {
  workspaceName: string
  workspaceSlug: string
}

/** Runs of all workspaces for the operator console, newest first; `held` only, where asked. At most 500. */
export async function listInvoiceRuns(
  ctx: OperatorCtx,
  filter: { state?: RunState; month?: CalendarMonth; runId?: string } = {},
): Promise<OperatorInvoice[]> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  const rows = await inSystem((tx) =>
    tx.invoiceRun.findMany({
      where: {
        ...(filter.state && { state: filter.state }),
        ...(filter.month && { month: filter.month }),
        ...(filter.runId && { id: filter.runId }),
      },
      include: { workspace: { select: { name: true, slug: true } } },
      orderBy: [{ month: 'desc' }, { id: 'desc' }],
      take: 500,
    }),
  )
  return rows.map(({ workspace, ...run }) => ({
    ...toSummary(run),
    workspaceName: workspace.name,
    workspaceSlug: workspace.slug,
  }))
}
