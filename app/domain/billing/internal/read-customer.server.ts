import type { SubscriptionFacts } from '../entitlement.ts'
import { type Dunning, dunningOf, noDunning, type PaymentMethod, paymentMethodOf } from '../payment-state.ts'
import { findSchedule, listOpenInvoices, listSubscriptions, readCustomer } from './stripe-customers.server.ts'
import { subscriptionFacts } from './subscription-facts.ts'

/** All that Stripe holds of a customer, read in one go. */
export interface CustomerReading {
  deleted: boolean
  subscriptions: SubscriptionFacts[]
  payment: { method: PaymentMethod | null; dunning: Dunning }
}

/**
 * @param pausedSince when a pause was first seen here
 * @returns null where the account knows no such customer, so that nothing is known of it either
 * @throws StripeCallError
 */
export async function readStripeCustomer(id: string, pausedSince: Date | null): Promise<CustomerReading | null> {
  const customer = await readCustomer(id)
  if (customer === 'unknown') return null
  const found = await listSubscriptions(id)
  const subscriptions: SubscriptionFacts[] = []
  for (const one of found) {
    const scheduleId = typeof one.schedule === 'string' ? one.schedule : (one.schedule?.id ?? null)
    const schedule = scheduleId && !one.ended_at ? await findSchedule(scheduleId) : null
    subscriptions.push(subscriptionFacts(one, schedule, pausedSince))
  }
  if (customer === 'deleted') return { deleted: true, subscriptions, payment: { method: null, dunning: noDunning } }
  const method = paymentMethodOf(customer.invoice_settings.default_payment_method)
  return { deleted: false, subscriptions, payment: { method, dunning: dunningOf(await listOpenInvoices(id)) } }
}
