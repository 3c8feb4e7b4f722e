/** What Stripe holds of a customer beside its invoices: how it pays, what it subscribes to, what is planned. */
import type Stripe from 'stripe'
import { all, call, client, orMissing } from './stripe-client.server.ts'

export type StripeSubscription = Stripe.Subscription
export type StripeSchedule = Stripe.SubscriptionSchedule

/**
 * The customer with its default payment method in full. Stripe says of a deleted one that it is deleted; `unknown` is another
 * thing: the account never had it, as when the key is of another account or mode. @throws StripeCallError
 */
export async function readCustomer(id: string): Promise<Stripe.Customer | 'deleted' | 'unknown'> {
  const expand = ['invoice_settings.default_payment_method']
  const found = await orMissing(
    call('customers.retrieve', 'customer', () => client().customers.retrieve(id, { expand })),
  )
  if (found === null) return 'unknown'
  return found.deleted ? 'deleted' : found
}

/** All of them, ended ones too. @throws StripeCallError */
export function listSubscriptions(customer: string): Promise<StripeSubscription[]> {
  return all('subscriptions.list', (page) => client().subscriptions.list({ customer, status: 'all', ...page }))
}

/** A schedule with the prices of its phases, or null. @throws StripeCallError */
export function findSchedule(id: string): Promise<StripeSchedule | null> {
  const expand = ['phases.items.price']
  return orMissing(
    call('subscriptionSchedules.retrieve', 'subscription_schedule', () =>
      client().subscriptionSchedules.retrieve(id, { expand }),
    ),
  )
}

/** Invoices that wait for money, ours and the plan fee's. @throws StripeCallError */
export function listOpenInvoices(customer: string): Promise<Stripe.Invoice[]> {
  return all('invoices.list', (page) => client().invoices.list({ customer, status: 'open', ...page }))
}

/** A customer for a workspace that has none. The key makes it one customer, however often it is asked for. @throws StripeCallError */
export async function createCustomer(workspaceId: string, name: string): Promise<string> {
  const request = { name, metadata: { workspace_id: workspaceId } }
  const { value } = await call('customers.create', 'customer', () =>
    client().customers.create(request, { idempotencyKey: `keymargin:customer:${workspaceId}` }),
  )
  return value.id
}

/** Ends a subscription now, without an invoice of its own. One that has ended already is no error. @throws StripeCallError */
export async function cancelSubscription(id: string): Promise<void> {
  await orMissing(call('subscriptions.cancel', 'subscription', () => client().subscriptions.cancel(id)))
}
