/** Everything that a month's invoice is computed from, gathered from the tables: the one way in for preview, close and replay. */
import { type CurrencyRules, currencyRules } from '#app/domain/pricing/currency.ts'
import { type CalendarMonth, monthToDate } from '#app/platform/calendar-month.ts'
import type { Tx } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { parsePico } from '#app/platform/pico.ts'
import type { RunState } from '../billing.ts'
import type { ComputeInvoiceInput } from '../compute-invoice.ts'
import { type FeeTerms, keyFees } from '../key-fee.ts'
import {
  type LastRun,
  loadSums,
  type MonthSums,
  type MonthUsage,
  toCorrections,
  toMeters,
  toUsage,
} from './usage-buckets.server.ts'

/** What of a month's arithmetic stands in no other table: kept with the run, so that it can be computed again. */
export interface MonthTerms {
  currency: string
  /** The workspace had left when the month was closed. */
  leaving: boolean
  fees: FeeTerms[]
  /** Of the currency; null: of a run that was frozen before they were kept. */
  rules: CurrencyRules | null
}

/** As the column `terms` holds them: amounts as text. */
export type StoredTerms = {
  leaving: boolean
  fees: { planId: string; planName: string; feePico: string; proration: string }[]
  rules?: { digits: number; step: string; minimum: string }
}

export const storeTerms = ({ leaving, fees, rules }: MonthTerms): StoredTerms => ({
  leaving,
  ...(rules && { rules: { digits: rules.digits, step: `${rules.step}`, minimum: `${rules.minimum}` } }),
  fees: fees.map((fee) => ({ ...fee, feePico: fee.feePico.toString() })),
})

/** Of a run that was frozen before terms were kept: none. */
export function readTerms(currency: string, stored: unknown): MonthTerms {
  const { leaving = false, fees = [], rules } = (stored ?? {}) as Partial<StoredTerms>
  return {
    currency,
    leaving,
    rules: rules ? { digits: rules.digits, step: BigInt(rules.step), minimum: BigInt(rules.minimum) } : null,
    fees: fees.map((fee) => ({
      ...fee,
      feePico: BigInt(fee.feePico),
      proration: fee.proration as FeeTerms['proration'],
    })),
  }
}

/** Subscriptions that are over: nothing more will come that a small amount could be added to. */
const ended = new Set(['canceled', 'incomplete_expired'])

interface TermsRow {
  currency: string
  subscriptionStatus: string | null
  fees: { planId: string; planName: string; feeUsd: string; proration: string }[]
}

const toTerms = ({ currency, subscriptionStatus, fees }: TermsRow): MonthTerms => ({
  currency,
  leaving: ended.has(subscriptionStatus ?? ''),
  rules: currencyRules(currency),
  fees: fees.map(({ planId, planName, feeUsd, proration }) => ({
    ...{ planId, planName, feePico: parsePico(feeUsd) ?? 0n },
    proration: proration as FeeTerms['proration'],
  })),
})

/** The terms as they stand now. @throws AppError not_found */
export async function currentTerms(tx: Tx, workspaceId: string): Promise<MonthTerms> {
  const [row] = await tx.$queryRaw<{ terms: TermsRow | null }[]>`SELECT billing_terms(${workspaceId}::uuid) AS terms`
  if (!row?.terms) throw notFound('Workspace')
  return toTerms(row.terms)
}

/** Price books of other currencies than the workspace's: version → currency. */
export type ForeignBooks = Record<string, string>

interface KnownRun {
  known: { runId: string; state: RunState }
}
interface ReadMonth<Terms> {
  known?: undefined
  terms: Terms
  last: LastRun
  sums: MonthSums
  foreign: ForeignBooks
}

/**
 * The first half of a close, in one statement: takes the ledger's exclusive lock for the transaction, cuts off calls whose cost
 * never became known (billed 0 and flagged, in the customer’s favour: stripe §2.8), and reads what there is to bill. Where the month
 * was frozen before, the run is all it answers.
 */
export async function beginClose(
  tx: Tx,
  workspaceId: string,
  month: CalendarMonth,
): Promise<KnownRun | ReadMonth<MonthTerms>> {
  const [row] = await tx.$queryRaw<{ begun: KnownRun | ReadMonth<TermsRow | null> }[]>`
    SELECT begin_close(${workspaceId}::uuid, ${monthToDate(month)}::date) AS begun`
  const begun = row?.begun as KnownRun | ReadMonth<TermsRow | null>
  if (begun.known) return begun
  if (!begun.terms) throw notFound('Workspace')
  return { ...begun, terms: toTerms(begun.terms) }
}

async function loadFees(tx: Tx, workspaceId: string, month: CalendarMonth, terms: FeeTerms[]) {
  if (terms.length === 0) return []
  const planPeriods = await tx.workspacePlanPeriod.findMany({ where: { workspaceId } })
  const keyPeriods = await tx.providerKeyPeriod.findMany({ where: { workspaceId } })
  return keyFees({
    month,
    terms,
    planPeriods: planPeriods.map(({ planId, since, until }) => ({ planId, from: since, to: until })),
    keyPeriods: keyPeriods.map(({ enabledFrom, enabledTo }) => ({ from: enabledFrom, to: enabledTo })),
  })
}

export interface GatheredMonth {
  input: Omit<ComputeInvoiceInput, 'openingResiduePico'>
  heldCalls: MonthUsage['heldCalls']
  /** Nothing at all: no call, no event, no fee, no correction. */
  empty: boolean
}

/**
 * @param usage counted already from the single calls; without it the daily rollups are read, as the close does
 * @param sums read already, by the close
 */
export async function gatherMonth(
  tx: Tx,
  workspaceId: string,
  month: CalendarMonth,
  { terms, usage, sums: read }: { terms: MonthTerms; usage?: MonthUsage; sums?: MonthSums },
): Promise<GatheredMonth> {
  const sums = read ?? (await loadSums(tx, workspaceId, month, usage === undefined))
  const { buckets, heldCalls } = usage ?? toUsage(sums.usage)
  const [meters, corrections] = [toMeters(sums.meters), toCorrections(sums.corrections)]
  const fees = await loadFees(tx, workspaceId, month, terms.fees)
  const { currency, leaving, rules } = terms
  return {
    input: { month, currency, leaving, ...(rules && { rules }), buckets, meters, fees, corrections },
    heldCalls,
    empty: buckets.length + meters.length + corrections.length + fees.length === 0,
  }
}
