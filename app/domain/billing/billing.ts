import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { monthEnd, monthOf, shiftMonth } from '#app/platform/calendar-month.ts'
import type { Pico } from '#app/platform/pico.ts'

/**
 * Where a run stands.
 * - `frozen` lines are fixed, Stripe knows nothing yet · `writing` Stripe has been or is being asked
 * - `done` finalised · `done_zero` nothing owed, a local statement only · `carried` too little to charge, or a credit
 * - `held` a human must look (`HeldReason`) · `uncollectable` the Stripe customer is gone · `superseded` re-issued as the next revision
 */
export type RunState = 'frozen' | 'writing' | 'done' | 'done_zero' | 'carried' | 'held' | 'uncollectable' | 'superseded'

/** Why a run is held: for each, what happened and what the operator may do about it. */
export const HELD_REASONS = {
  no_customer: 'The workspace has no Stripe customer. Link one, then release the run.',
  currency_mismatch:
    'The Stripe customer is billed in another currency. Change the customer or the workspace, then release the run.',
  tax_location:
    'Stripe cannot tell the customer’s tax location. The run goes on by itself once the customer’s address is complete.',
  lines_differ:
    'The draft in Stripe differs from the frozen lines: somebody edited it. Restore or delete the draft, then release the run.',
  not_editable:
    'The invoice was finalised outside of Keymargin before all its lines were written. Settle the difference by hand.',
  invoice_missing: 'The draft was deleted in Stripe. Release the run to re-issue it as a new revision.',
  invoice_voided:
    'The invoice was voided in Stripe before the run was done. Release the run to re-issue it as a new revision.',
  idempotency_mismatch:
    'Stripe saw the same key with other parameters: the frozen lines changed, which must not happen. Do not release before it is understood.',
  refused:
    'Stripe refused a request that should have been good. See the detail, correct the cause, then release the run.',
} as const
export type HeldReason = keyof typeof HELD_REASONS

/** After these nothing happens any more on its own. */
export const FINAL_STATES: readonly RunState[] = ['done', 'done_zero', 'carried', 'uncollectable', 'superseded']

/** Stripe charges nothing below this (USD); a smaller total waits for the next month (stripe §2.2, §4 case 21). */
export const MINIMUM_CHARGE_CENTS = 50n

/** Stripe takes 250 items per invoice; we stop long before, the tail goes into one line (stripe §2.2, §4 case 19). */
export const MAX_LINES = 100

/** One bucket of calls that are billed alike: a row of the daily rollups, summed over days, models and surfaces. */
export interface UsageBucket {
  chargeMode: string
  tier: string
  keySource: string
  /** UTC month of dispatch; earlier than the invoice's month where the calls arrived after their own month was closed. */
  usageMonth: CalendarMonth
  priceBookVersion: number
  calls: bigint
  inputTokens: bigint
  outputTokens: bigint
  tierPricePico: Pico
  rawCostPico: Pico
  chargePico: Pico
}

/** One line of an invoice. `amountCents` is what is billed, `exactPico` what the calls come to. */
export interface InvoiceLine {
  lineKey: string
  position: number
  chargeMode: string
  tier: string
  keySource: string
  usageMonth: CalendarMonth
  /** null on the collapsed tail and on what was carried forward. */
  priceBookVersion: number | null
  description: string
  calls: bigint
  inputTokens: bigint
  outputTokens: bigint
  tierPricePico: Pico
  rawCostPico: Pico
  exactPico: Pico
  amountCents: bigint
}

export type InvoiceOutcome = 'bill' | 'done_zero' | 'carried'

/** What one month comes to: the same value for the preview, the dry run and the real run. */
export interface ComputedInvoice {
  month: CalendarMonth
  outcome: InvoiceOutcome
  lines: InvoiceLine[]
  calls: bigint
  /** What the last run left over: a fraction of a cent, or a whole amount that was too small to charge. */
  openingResiduePico: Pico
  /** Sum of the calls' charges, exact. */
  exactPico: Pico
  totalCents: bigint
  /** openingResidue + exact − total: opens the next invoice. */
  closingResiduePico: Pico
  /** SHA-256 over the lines, so that "nothing changed since" can be shown. */
  linesHash: string
}

/** How long after its end a month waits for calls and costs that arrive late; the crontab's day of the month is this rule too. */
const GRACE_MS = 48 * 3_600_000

/** The newest month that may be closed at an instant: it ended at least the grace ago (stripe §3 "late usage"). */
export function monthToCloseAt(at: Date): CalendarMonth {
  const settled = new Date(at.getTime() - GRACE_MS)
  return shiftMonth(monthOf(settled), -1)
}

export const monthHasEnded = (month: CalendarMonth, at: Date): boolean => monthEnd(month) <= at
