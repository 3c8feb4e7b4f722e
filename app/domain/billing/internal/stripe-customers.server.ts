/** What Stripe holds of a customer beside its invoices: how it pays, what it subscribes to, what is planned. */
import type Stripe from 'stripe'
import { StripeCallError } from './stripe-call-error.ts'
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

/** Longer than Stripe keeps a key, with an hour for clocks that disagree. */
const KEY_KEPT_MS = 25 * 60 * 60 * 1000

/**
 * A customer for a workspace that has none: one, however often it is asked for. What is sent under the key never changes, so the
 * name comes after it: a workspace that was renamed between two tries was refused for a day, its key having been used with another
 * name. @throws StripeCallError
 */
export async function createCustomer(workspaceId: string, name: string, now: Date): Promise<string> {
  const id = await makeCustomer(workspaceId, now)
  await call('customers.update', 'customer', () => client().customers.update(id, { name }))
  return id
}

async function makeCustomer(workspaceId: string, now: Date): Promise<string> {
  const request = { metadata: { workspace_id: workspaceId } }
  const send = (idempotencyKey: string) =>
    call('customers.create', 'customer', () => client().customers.create(request, { idempotencyKey }))
  try {
    return (await send(`keymargin:customer-of:${workspaceId}`)).value.id
  } catch (error) {
    if (!(error instanceof StripeCallError && error.isSpentKey)) throw error
    // Stripe repeats a failure of before for as long as it keeps the key, whether the customer was made or not.
    const known = await findMade(workspaceId, new Date(now.getTime() - KEY_KEPT_MS))
    return known ?? (await send(`keymargin:customer-of:${workspaceId}:again`)).value.id
  }
}

/** By the list, not by the search: that lags by a minute and more behind what was written (stripe §2.3). */
async function findMade(workspaceId: string, since: Date): Promise<string | undefined> {
  const created = { gte: Math.floor(since.getTime() / 1000) }
  const made = await all('customers.list', (page) => client().customers.list({ created, ...page }))
  return made.find(({ metadata }) => metadata.workspace_id === workspaceId)?.id
}

/** Ends a subscription now, without an invoice of its own. One that has ended already is no error. @throws StripeCallError */
export async function cancelSubscription(id: string): Promise<void> {
  await orMissing(call('subscriptions.cancel', 'subscription', () => client().subscriptions.cancel(id)))
}
