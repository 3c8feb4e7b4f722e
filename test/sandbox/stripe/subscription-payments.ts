/** What a payment, or its failure, does to the subscription that it was for. */
import { previousAttributes } from './operation.ts'
import type { InvoiceRecord, SubscriptionRecord } from './records.ts'
import { endSubscription, renderSubscription } from './subscription-object.ts'
import type { World } from './world.ts'

/** Changes a subscription and tells the endpoints, with the old values of what differs. */
export function changeSubscription(
  world: World,
  subscription: SubscriptionRecord,
  change: Partial<SubscriptionRecord>,
  alsoSay: string[] = [],
): void {
  const before = renderSubscription(world, subscription)
  Object.assign(subscription, change)
  const after = renderSubscription(world, subscription)
  world.emit('customer.subscription.updated', after, previousAttributes(before, after))
  for (const type of alsoSay) world.emit(type, after)
}

/** The items under their new price: an upgrade that was paid. */
const itemsAt = (subscription: SubscriptionRecord, price: string) =>
  subscription.items.map((item, index) => (index === 0 ? { ...item, price } : item))

export function invoicePaid(world: World, invoice: InvoiceRecord): void {
  const subscription = world.state.subscriptions[invoice.subscription ?? '']
  if (!subscription || subscription.endedAt) return
  const pending = subscription.pendingUpdate
  if (pending?.invoice === invoice.id) {
    const items = itemsAt(subscription, pending.price)
    changeSubscription(world, subscription, { items, pendingUpdate: null }, [
      'customer.subscription.pending_update_applied',
    ])
    return
  }
  if (subscription.latestInvoice !== invoice.id) return
  if (
    ['incomplete', 'past_due', 'unpaid'].includes(subscription.status) &&
    invoice.billingReason !== 'subscription_update'
  )
    changeSubscription(world, subscription, { status: 'active' })
}

export function collectionFailed(world: World, invoice: InvoiceRecord): void {
  const subscription = world.state.subscriptions[invoice.subscription ?? '']
  if (!subscription || subscription.endedAt || invoice.billingReason !== 'subscription_cycle') return
  if (subscription.status === 'active' || subscription.status === 'trialing')
    changeSubscription(world, subscription, { status: 'past_due' })
  if (invoice.nextPaymentAttempt) return
  const { dunningEnd } = world.state.settings
  if (dunningEnd === 'canceled') endSubscription(world, subscription)
  else if (dunningEnd === 'unpaid') changeSubscription(world, subscription, { status: 'unpaid' })
}
