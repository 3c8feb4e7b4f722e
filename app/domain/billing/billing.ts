import { needsDollars } from '#app/domain/pricing/currency.ts'
import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { monthEnd, monthOf, shiftMonth } from '#app/platform/calendar-month.ts'
import type { Pico } from '#app/platform/pico.ts'

/**
 * Where a run stands.
 * - `frozen` lines are fixed, Stripe knows nothing yet · `writing` Stripe has been or is being asked
 * - `review` the draft is written and equal, and waits for an operator or for its time · `done` finalised
 * - `done_zero` nothing owed, a local statement only · `carried` too little to charge, or a credit
 * - `held` a human must look (`HeldReason`) · `uncollectable` the Stripe customer is gone · `superseded` re-issued as the next revision
 * - `settled` an operator said that it was settled outside of Stripe
 */
export type RunState =
  | 'frozen'
  | 'writing'
  | 'review'
  | 'done'
  | 'done_zero'
  | 'carried'
  | 'held'
  | 'uncollectable'
  | 'superseded'
  | 'settled'

/** What an operator can do about a held run, each by one click. */
export type Resolution = 'resume' | 'reissue' | 'adopt' | 'settle' | 'correct'

/** Why a run is held: what happened, what the operator may do about it, and by which clicks. */
export const HELD_REASONS = {
  no_customer: {
    remedy: 'The workspace has no Stripe customer. Link one, then resume the run.',
    resolutions: ['resume', 'settle'],
  },
  currency_mismatch: {
    remedy:
      'The Stripe customer is billed in another currency. Change the customer or the workspace, then resume the run.',
    resolutions: ['resume', 'settle'],
  },
  needs_dollars: {
    remedy:
      'Margins, markups, credits and key fees are reckoned in USD, and this workspace is billed in another currency. Settle the month by hand and move the workspace to USD or to another plan.',
    resolutions: ['settle'],
  },
  price_currency: {
    remedy:
      'Calls of the month were priced by a price book of another currency than the workspace’s. Settle the month by hand and correct the currency.',
    resolutions: ['settle'],
  },
  tax_location: {
    remedy:
      'Stripe cannot tell the customer’s tax location. The run goes on by itself once the customer’s address is complete.',
    resolutions: ['resume', 'settle'],
  },
  recount_differs: {
    remedy:
      'The calls, counted one by one, do not come to the frozen lines. Nothing was sent. Verify says which call differs; resume once it is understood.',
    resolutions: ['resume', 'settle'],
  },
  lines_differ: {
    remedy:
      'The draft in Stripe differs from the frozen lines: somebody edited it. Restore or delete the draft and resume, or take the draft as it is.',
    resolutions: ['resume', 'adopt', 'correct'],
  },
  not_editable: {
    remedy:
      'The invoice was finalised outside of Keymargin before all its lines were written. Bill what is missing by a correction run, or let it go.',
    resolutions: ['correct', 'adopt'],
  },
  invoice_missing: {
    remedy: 'The draft was deleted in Stripe. Re-issue it as a new revision, or settle it by hand.',
    resolutions: ['reissue', 'settle'],
  },
  invoice_voided: {
    remedy:
      'The invoice was voided in Stripe before the run was done. Re-issue it as a new revision, or settle it by hand.',
    resolutions: ['reissue', 'settle'],
  },
  idempotency_mismatch: {
    remedy:
      'Stripe saw the same key with other parameters: the frozen lines changed, which must not happen. Do not resume before it is understood.',
    resolutions: ['resume', 'settle'],
  },
  refused: {
    remedy:
      'Stripe refused a request that should have been good. See the detail, correct the cause, then resume the run.',
    resolutions: ['resume', 'settle'],
  },
  operator_hold: {
    remedy: 'An operator held it before it was finalised. Resume it, or settle it by hand.',
    resolutions: ['resume', 'settle'],
  },
} as const satisfies Record<string, { remedy: string; resolutions: readonly Resolution[] }>
export type HeldReason = keyof typeof HELD_REASONS

/** What can be done about a run where it stands. */
export function resolutionsOf(state: string, heldReason: string | null): readonly Resolution[] {
  // A customer can be linked anew, or the key that did not know it be put right; the frozen lines are owed all the same.
  if (state === 'uncollectable') return ['resume', 'settle']
  if (state !== 'held' || !heldReason || !(heldReason in HELD_REASONS)) return []
  return HELD_REASONS[heldReason as HeldReason].resolutions
}

/** After these nothing happens any more on its own. */
export const FINAL_STATES: readonly RunState[] = [
  'done',
  'done_zero',
  'carried',
  'uncollectable',
  'superseded',
  'settled',
]

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
  /** Basis points of a markup, 0 in the other modes, and what the markup was taken of. */
  markupBp: number
  basisPico: Pico
  /** What was drawn from credits. */
  creditPico: Pico
}

/** Usage that is no call, by meter and unit price. */
export interface MeterBucket {
  meter: string
  name: string
  unit: string
  /** Exact decimal text, USD per unit. */
  unitUsd: string
  usageMonth: CalendarMonth
  priceBookVersion: number
  events: bigint
  /** 1e-9 units. */
  quantityNano: bigint
  creditPico: Pico
  chargePico: Pico
}

/** Difference entries: what calls of closed months turned out to have been charged too much (negative) or too little. */
export interface CorrectionBucket {
  reason: 're_rate' | 'cost_corrected'
  usageMonth: CalendarMonth
  priceBookVersion: number
  calls: bigint
  beforePico: Pico
  afterPico: Pico
}

export type LineKind = 'calls' | 'usage' | 'key_fee' | 'correction' | 'carried' | 'other'

/** The arithmetic of a line that no column holds. Integers as text: they may pass 2^53. */
export type LineDetail = { [name: string]: string | number | LineDetail[] }

/** One line of an invoice. `amountCents` is what is billed, `exactPico` what the calls come to. */
export interface InvoiceLine {
  lineKey: string
  position: number
  kind: LineKind
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
  markupBp: number
  basisPico: Pico
  creditPico: Pico
  /** 1e-9 units of a meter; null where the line has no quantity. */
  quantityNano: bigint | null
  detail: LineDetail
}

export type InvoiceOutcome = 'bill' | 'done_zero' | 'carried'

/** What one month comes to: the same value for the preview, the dry run and the real run. */
export interface ComputedInvoice {
  month: CalendarMonth
  /** Lower case. `…Cents` are its minor units: cents, whole yen, thousandths of a dinar. */
  currency: string
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

/** Kinds of difference between the books that are in USD whatever the workspace is billed in: what providers say, and credits. */
export const DIFFERENCES_IN_DOLLARS: ReadonlySet<string> = new Set(['provider_usage', 'generation', 'credits'])

/** A line that is reckoned in USD on an invoice of another currency: it is carried while it is too little to charge, then held. */
export const dollarLine = <Line extends { chargeMode: string; lineKey: string }>(invoice: {
  currency: string
  lines: Line[]
}): Line | undefined =>
  invoice.currency === 'usd' ? undefined : invoice.lines.find(({ chargeMode }) => needsDollars(chargeMode))
