/** What Stripe does by itself when time passes: cycles, finalisation, retries, phases, expiries, one after the other. */
import { expireCheckout, settleDelayed } from './checkout-payment.ts'
import { StripeApiError } from './errors.ts'
import { collect, feeInvoice, finalizeInvoice } from './invoice-lifecycle.ts'
import { renderInvoice } from './invoice-object.ts'
import { periodEndAfter } from './periods.ts'
import type { InvoiceRecord, SubscriptionRecord } from './records.ts'
import { endSubscription } from './subscription-object.ts'
import { changeSubscription } from './subscription-payments.ts'
import { advanceSchedule } from './subscription-schedules.ts'
import type { World } from './world.ts'

const HOUR = 3_600
const INCOMPLETE_FOR = 23 * HOUR
/** An undelivered `invoice.created` holds the draft back, so that its receiver may still add to it. */
const HELD_FOR_WEBHOOK = 72 * HOUR
/** More steps than any test's years of months need: a loop that does not end must be seen. */
const MOST_STEPS = 100_000

interface Due {
  at: number
  act: () => void
}

/**
 * Does everything that fell due for the customers of one clock up to an instant, each at its own moment.
 * @param clock a test clock's id; null: everybody who has none
 * @param until seconds
 */
export function passTime(world: World, clock: string | null, until: number): void {
  for (let step = 0; step < MOST_STEPS; step++) {
    const next = nextDue(world, clock, until)
    if (!next) return
    world.at(next.at, next.act)
  }
  throw new Error('The sandbox never stops doing things.')
}

function nextDue(world: World, clock: string | null, until: number): Due | undefined {
  let first: Due | undefined
  const here = (customer: string) => (world.state.customers[customer]?.testClock ?? null) === clock
  for (const due of allDue(world, here)) {
    if (due.at <= until && (!first || due.at < first.at)) first = due
  }
  return first
}

/** In the order in which Stripe does what falls on the same second: a phase changes the price before the cycle is invoiced. */
function* allDue(world: World, here: (customer: string) => boolean): Generator<Due> {
  const { schedules, subscriptions, invoices, checkoutSessions } = world.state
  for (const schedule of Object.values(schedules)) {
    const end = schedule.phases[schedule.current]?.end
    if (schedule.status === 'active' && end !== undefined && here(schedule.customer))
      yield { at: end, act: () => advanceSchedule(world, schedule) }
  }
  for (const subscription of Object.values(subscriptions)) {
    if (!subscription.endedAt && here(subscription.customer)) yield* dueOf(world, subscription)
  }
  for (const invoice of Object.values(invoices)) {
    if (!invoice.deleted && here(invoice.customer)) yield* dueOfInvoice(world, invoice)
  }
  for (const session of Object.values(checkoutSessions)) {
    if (!here(session.customer)) continue
    if (session.status === 'open') yield { at: session.expiresAt, act: () => expireCheckout(world, session) }
    if (session.settlesAt !== null) yield { at: session.settlesAt, act: () => settleDelayed(world, session, true) }
  }
}

function* dueOf(world: World, subscription: SubscriptionRecord): Generator<Due> {
  const { status, cancelAt, periodEnd, pendingUpdate, pauseCollection } = subscription
  if (cancelAt !== null) yield { at: cancelAt, act: () => endSubscription(world, subscription) }
  if (status === 'incomplete')
    yield { at: subscription.created + INCOMPLETE_FOR, act: () => expireIncomplete(world, subscription) }
  if (pendingUpdate)
    yield {
      at: pendingUpdate.expires_at,
      act: () =>
        changeSubscription(world, subscription, { pendingUpdate: null }, [
          'customer.subscription.pending_update_expired',
        ]),
    }
  if (pauseCollection?.resumes_at)
    yield {
      at: pauseCollection.resumes_at,
      act: () => changeSubscription(world, subscription, { pauseCollection: null }),
    }
  if (['active', 'past_due', 'trialing', 'unpaid'].includes(status))
    yield { at: periodEnd, act: () => renew(world, subscription) }
}

function expireIncomplete(world: World, subscription: SubscriptionRecord): void {
  const invoice = world.state.invoices[subscription.latestInvoice ?? '']
  if (invoice?.status === 'open') {
    Object.assign(invoice, { status: 'void', voidedAt: world.seconds() })
    world.emit('invoice.voided', renderInvoice(world, invoice))
  }
  changeSubscription(world, subscription, { status: 'incomplete_expired', endedAt: world.seconds() })
}

/** A new period, and its invoice as a draft that is finalised an hour later. */
function renew(world: World, subscription: SubscriptionRecord): void {
  const { items, periodEnd: start } = subscription
  const end = periodEndAfter(world, items, subscription.anchor ?? subscription.created, start)
  const status = subscription.status === 'trialing' ? 'active' : subscription.status
  Object.assign(subscription, { periodStart: start, periodEnd: end, status })
  const invoice = feeInvoice(world, subscription, { reason: 'subscription_cycle' })
  invoice.autoFinalizesAt = world.seconds() + HOUR
  // While it is unpaid, and while collection is paused to keep drafts, nothing is finalised by itself.
  const drafts = subscription.pauseCollection?.behavior === 'keep_as_draft' || subscription.status === 'unpaid'
  if (drafts) Object.assign(invoice, { autoFinalizesAt: null, autoAdvance: false })
  changeSubscription(world, subscription, {})
}

function* dueOfInvoice(world: World, invoice: InvoiceRecord): Generator<Due> {
  if (invoice.status === 'draft' && invoice.autoFinalizesAt)
    yield { at: heldUntil(world, invoice, invoice.autoFinalizesAt), act: () => finalizeByItself(world, invoice) }
  if (invoice.status === 'open' && invoice.nextPaymentAttempt)
    yield { at: invoice.nextPaymentAttempt, act: () => void collect(world, invoice) }
}

function heldUntil(world: World, invoice: InvoiceRecord, planned: number): number {
  const told = Object.values(world.state.events).find(
    (event) => event.type === 'invoice.created' && event.data.object.id === invoice.id,
  )
  return told?.failed ? invoice.created + HELD_FOR_WEBHOOK : planned
}

function finalizeByItself(world: World, invoice: InvoiceRecord): void {
  invoice.autoFinalizesAt = null
  try {
    finalizeInvoice(world, invoice)
  } catch (error) {
    // Without a tax location the draft stays; the event has told so.
    if (error instanceof StripeApiError) return
    throw error
  }
  const paused = world.state.subscriptions[invoice.subscription ?? '']?.pauseCollection?.behavior
  if (invoice.status !== 'open') return
  if (paused === 'void') {
    Object.assign(invoice, { status: 'void', voidedAt: world.seconds() })
    world.emit('invoice.voided', renderInvoice(world, invoice))
  } else if (paused === 'mark_uncollectible') {
    Object.assign(invoice, { status: 'uncollectible', uncollectibleAt: world.seconds() })
    world.emit('invoice.marked_uncollectible', renderInvoice(world, invoice))
  } else collect(world, invoice)
}
