/** Everything that a month's invoice is computed from, gathered from the tables: the one way in for preview, close and replay. */
import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import type { Tx } from '#app/platform/db.server.ts'
import { parsePico } from '#app/platform/pico.ts'
import type { ComputeInvoiceInput } from '../compute-invoice.ts'
import { type FeeTerms, keyFees } from '../key-fee.ts'
import { loadCorrections, loadMeters, loadUsage, type MonthUsage } from './usage-buckets.server.ts'

/** What of a month's arithmetic stands in no other table: kept with the run, so that it can be computed again. */
export interface MonthTerms {
  currency: string
  /** The workspace had left when the month was closed. */
  leaving: boolean
  fees: FeeTerms[]
}

/** As the column `terms` holds them: amounts as text. */
export type StoredTerms = {
  leaving: boolean
  fees: { planId: string; planName: string; feePico: string; proration: string }[]
}

export const storeTerms = ({ leaving, fees }: MonthTerms): StoredTerms => ({
  leaving,
  fees: fees.map((fee) => ({ ...fee, feePico: fee.feePico.toString() })),
})

/** Of a run that was frozen before terms were kept: none. */
export function readTerms(currency: string, stored: unknown): MonthTerms {
  const { leaving = false, fees = [] } = (stored ?? {}) as Partial<StoredTerms>
  return {
    currency,
    leaving,
    fees: fees.map((fee) => ({
      ...fee,
      feePico: BigInt(fee.feePico),
      proration: fee.proration as FeeTerms['proration'],
    })),
  }
}

/** Subscriptions that are over: nothing more will come that a small amount could be added to. */
const ended = new Set(['canceled', 'incomplete_expired'])

/** The terms as they stand now. */
export async function currentTerms(tx: Tx, workspaceId: string): Promise<MonthTerms> {
  const { currency, subscriptionStatus } = await tx.workspace.findUniqueOrThrow({
    where: { id: workspaceId },
    select: { currency: true, subscriptionStatus: true },
  })
  const plans = await tx.plan.findMany({
    where: { workspaceChargeMode: 'flat_fee', keyFeeUsd: { gt: 0 } },
    orderBy: { id: 'asc' },
  })
  return {
    currency,
    leaving: ended.has(subscriptionStatus ?? ''),
    fees: plans.map((plan) => ({
      planId: plan.id,
      planName: plan.name,
      feePico: parsePico(plan.keyFeeUsd.toFixed()) ?? 0n,
      proration: plan.keyFeeProration as FeeTerms['proration'],
    })),
  }
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

/** @param usage counted already from the single calls; without it the daily rollups are read, as the close does */
export async function gatherMonth(
  tx: Tx,
  workspaceId: string,
  month: CalendarMonth,
  { terms, usage }: { terms: MonthTerms; usage?: MonthUsage },
): Promise<GatheredMonth> {
  const { buckets, heldCalls } = usage ?? (await loadUsage(tx, workspaceId, month))
  const meters = await loadMeters(tx, workspaceId, month)
  const corrections = await loadCorrections(tx, workspaceId, month)
  const fees = await loadFees(tx, workspaceId, month, terms.fees)
  return {
    input: { month, currency: terms.currency, leaving: terms.leaving, buckets, meters, fees, corrections },
    heldCalls,
    empty: buckets.length + meters.length + corrections.length + fees.length === 0,
  }
}
