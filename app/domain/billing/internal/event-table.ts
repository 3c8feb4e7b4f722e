/** Which events are taken, what is looked at after each, and whom an event speaks of (stripe §2.6). */
import type Stripe from 'stripe'

/**
 * What is read again from Stripe. `customer`: subscriptions, plan, keys, payment · `invoice`: the run's mirror · `tax_holds`:
 * runs that waited for the customer's address · the others: the object of that name.
 */
export type Look = 'customer' | 'invoice' | 'tax_holds' | 'credit_note' | 'refund' | 'dispute' | 'checkout'

type EventType = Stripe.Event['type']
const subscription = ['customer'] as const
const invoice = ['invoice'] as const
/** A payment, or its failure, may move the plan and the dunning too. */
const payment = ['invoice', 'customer'] as const

/** All types that can change what we hold. Any other is answered and forgotten. */
export const LOOKS = {
  'customer.subscription.created': subscription,
  'customer.subscription.updated': subscription,
  'customer.subscription.deleted': subscription,
  'customer.subscription.paused': subscription,
  'customer.subscription.resumed': subscription,
  'customer.subscription.pending_update_applied': subscription,
  'customer.subscription.pending_update_expired': subscription,
  'subscription_schedule.updated': subscription,
  'subscription_schedule.released': subscription,
  'subscription_schedule.completed': subscription,
  'subscription_schedule.canceled': subscription,
  'subscription_schedule.aborted': subscription,
  'invoice.created': invoice,
  'invoice.updated': invoice,
  'invoice.finalized': invoice,
  'invoice.finalization_failed': invoice,
  'invoice.paid': payment,
  'invoice.payment_failed': payment,
  'invoice.payment_action_required': payment,
  'invoice.voided': payment,
  'invoice.marked_uncollectible': payment,
  'invoice.overdue': payment,
  'invoice.overpaid': invoice,
  'invoice.deleted': invoice,
  'credit_note.created': ['credit_note', 'customer'],
  'credit_note.updated': ['credit_note'],
  'credit_note.voided': ['credit_note', 'customer'],
  'charge.dispute.created': ['dispute'],
  'charge.dispute.closed': ['dispute'],
  'charge.refunded': ['refund'],
  'customer.updated': ['tax_holds', 'customer'],
  'customer.deleted': subscription,
  'checkout.session.completed': ['checkout', 'customer'],
  'checkout.session.async_payment_succeeded': ['checkout', 'customer'],
  'checkout.session.async_payment_failed': ['checkout', 'customer'],
  'checkout.session.expired': ['checkout'],
} as const satisfies Partial<Record<EventType, readonly Look[]>>

export const WATCHED_TYPES = Object.keys(LOOKS) as (keyof typeof LOOKS)[]

/** What is to be looked at after an event of this type; null: none of ours. */
export const looksAfter = (type: string): readonly Look[] | null =>
  Object.hasOwn(LOOKS, type) ? LOOKS[type as keyof typeof LOOKS] : null

export interface EventReferences {
  objectId: string
  /** null where the object does not name it: a dispute is its charge's. */
  customerId: string | null
}

/** Whom the event speaks of; the only thing that is taken from its payload. */
export function referencesOf(event: Stripe.Event): EventReferences {
  const object = event.data.object as { id?: unknown; object?: unknown; customer?: unknown }
  const objectId = typeof object.id === 'string' ? object.id : event.id
  if (object.object === 'customer') return { objectId, customerId: objectId }
  return { objectId, customerId: idOf(object.customer) }
}

function idOf(value: unknown): string | null {
  if (typeof value === 'string') return value
  const id = (value as { id?: unknown } | null)?.id
  return typeof id === 'string' ? id : null
}
