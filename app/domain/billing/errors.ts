import { type CalendarMonth, monthName, shiftMonth } from '#app/platform/calendar-month.ts'
import { AppError } from '#app/platform/errors.ts'
import { HELD_REASONS, type HeldReason } from './billing.ts'

export const monthNotOver = (month: CalendarMonth) =>
  new AppError(
    'conflict',
    'month_not_over',
    `${monthName(month)} is not over. Close it in ${monthName(shiftMonth(month, 1))}.`,
  )

export const badSignature = (internal: string) =>
  new AppError('bad_request', 'invalid_signature', 'The webhook signature is missing, wrong or too old.', { internal })

export const eventTooLarge = () =>
  new AppError('too_large', 'event_too_large', 'The webhook body is larger than 1 MiB.')

export const runNotHeld = (state: string) =>
  new AppError(
    'conflict',
    'run_not_held',
    `Only a held invoice run can be released. This one is ${state.replaceAll('_', ' ')}.`,
  )

export const resolutionNotPossible = (resolution: string) =>
  new AppError(
    'conflict',
    'resolution_not_possible',
    `This run is held for a reason that “${resolution}” does not resolve.`,
  )

export const settlementNeedsNote = (field = 'note') =>
  new AppError('bad_request', 'note_missing', 'Say in a few words why: it stands in the audit trail.', { field })

export const runBusy = () =>
  new AppError('conflict', 'run_busy', 'The run is being written to Stripe at this moment. Try again in a minute.')

export const runNotInReview = (state: string) =>
  new AppError(
    'conflict',
    'run_not_in_review',
    `The run is ${state.replaceAll('_', ' ')}: it no longer waits to be finalised.`,
  )

export const stripeInvoiceGone = () =>
  new AppError('conflict', 'invoice_gone', 'Stripe holds no such invoice any more. Resume the run to see why.')

export const nothingMissing = () =>
  new AppError('conflict', 'nothing_missing', 'Stripe’s invoice lacks nothing of the frozen lines. Take it as it is.')

/** Ends the writing of a run: from here a human or an event must go on. */
export class RunStopped extends Error {
  readonly state: 'held' | 'uncollectable'
  readonly reason: HeldReason | 'customer_deleted'
  readonly detail: string

  private constructor(state: 'held' | 'uncollectable', reason: HeldReason | 'customer_deleted', detail: string) {
    super(`${state}: ${reason} (${detail})`)
    this.name = 'RunStopped'
    this.state = state
    this.reason = reason
    this.detail = detail
  }

  /** @param detail for operators: what differs, ids and amounts; never a secret */
  static held(reason: HeldReason, detail: string): RunStopped {
    return new RunStopped('held', reason, detail)
  }

  /** The Stripe customer is gone; it is never made anew (stripe §4 case 24). */
  static customerDeleted(customer: string): RunStopped {
    return new RunStopped('uncollectable', 'customer_deleted', `Stripe has no customer ${customer}`)
  }

  get remedy(): string {
    return this.reason === 'customer_deleted'
      ? 'Stripe has no such customer. Collect by other means, or link the right one and resume.'
      : HELD_REASONS[this.reason].remedy
  }
}
