/** Pages of Stripe's that people are sent to: Checkout and the billing portal. */
import type Stripe from 'stripe'
import { env } from '#app/platform/env.server.ts'
import { StripeCallError } from './stripe-call-error.ts'
import { all, call, client, orMissing } from './stripe-client.server.ts'

export type StripeCheckout = Stripe.Checkout.Session

export interface CheckoutRequest {
  customer: string
  metadata: Record<string, string>
  /** Where Checkout comes back to; `{CHECKOUT_SESSION_ID}` stands for its id. */
  paidUrl: string
  leftUrl: string
  /** One session of one request, however often it is tried again. */
  idempotencyKey: string
}

/** The place is asked for and checked before anything is paid, so that no invoice fails for it later (stripe §2.9). */
const taxAtCheckout = () =>
  env().stripeTax === 'automatic'
    ? {
        automatic_tax: { enabled: true },
        billing_address_collection: 'required' as const,
        customer_update: { address: 'auto' as const, name: 'auto' as const },
      }
    : {}

/** A subscription to a price. @throws StripeCallError */
export async function createPlanCheckout(request: CheckoutRequest, price: string): Promise<StripeCheckout> {
  const { customer, metadata, paidUrl, leftUrl, idempotencyKey } = request
  const params: Stripe.Checkout.SessionCreateParams = {
    mode: 'subscription',
    customer,
    line_items: [{ price, quantity: 1 }],
    subscription_data: { metadata },
    metadata,
    success_url: paidUrl,
    cancel_url: leftUrl,
    ...taxAtCheckout(),
  }
  return create(params, idempotencyKey)
}

/** One payment of so many cents. @throws StripeCallError */
export async function createPaymentCheckout(
  request: CheckoutRequest,
  item: { name: string; currency: string; cents: number },
): Promise<StripeCheckout> {
  const { customer, metadata, paidUrl, leftUrl, idempotencyKey } = request
  const taxed = env().stripeTax === 'automatic'
  const product = { name: item.name, ...(env().stripeTaxCode && { tax_code: env().stripeTaxCode }) }
  const price = {
    currency: item.currency,
    unit_amount: item.cents,
    product_data: product,
    ...(taxed && { tax_behavior: 'exclusive' as const }),
  }
  const params: Stripe.Checkout.SessionCreateParams = {
    mode: 'payment',
    customer,
    line_items: [{ price_data: price, quantity: 1 }],
    payment_intent_data: { metadata },
    metadata,
    success_url: paidUrl,
    cancel_url: leftUrl,
    ...taxAtCheckout(),
  }
  return create(params, idempotencyKey)
}

async function create(params: Stripe.Checkout.SessionCreateParams, idempotencyKey: string): Promise<StripeCheckout> {
  // Credits are granted as they were bought: a code that takes half of the price off would sell them at half of it. Said, not left
  // out, so that no setting of the account's can mean otherwise. Free credits are a grant, with a reason and an end.
  const request = { ...params, allow_promotion_codes: false }
  const { value } = await call('checkout.sessions.create', 'checkout.session', () =>
    client().checkout.sessions.create(request, { idempotencyKey }),
  )
  return value
}

/** @throws StripeCallError */
export function findCheckout(id: string): Promise<StripeCheckout | null> {
  return orMissing(
    call('checkout.sessions.retrieve', 'checkout.session', () => client().checkout.sessions.retrieve(id)),
  )
}

/** Sessions of a customer: `open` can still be paid, `complete` were gone through. @throws StripeCallError */
export const listCheckouts = (customer: string, status: 'open' | 'complete'): Promise<StripeCheckout[]> =>
  all('checkout.sessions.list', (page) => client().checkout.sessions.list({ customer, status, ...page }))

/** Makes a session that can no longer be paid; one that was paid or has ended at this moment is no error. @throws StripeCallError */
export async function expireCheckout(id: string): Promise<void> {
  try {
    await call('checkout.sessions.expire', 'checkout.session', () => client().checkout.sessions.expire(id))
  } catch (error) {
    if (!(error instanceof StripeCallError) || error.failure.outcome !== 'refused') throw error
  }
}

/** The session that a payment was made in; null for any other payment. @throws StripeCallError */
export async function checkoutOfPayment(paymentIntent: string | null): Promise<StripeCheckout | null> {
  if (!paymentIntent) return null
  const { value } = await call('checkout.sessions.list', 'list', () =>
    client().checkout.sessions.list({ payment_intent: paymentIntent, limit: 1 }),
  )
  return value.data[0] ?? null
}

/** The portal's address for one visit. @throws StripeCallError */
export async function createPortal(customer: string, returnUrl: string): Promise<string> {
  const { value } = await call('billingPortal.sessions.create', 'billing_portal.session', () =>
    client().billingPortal.sessions.create({ customer, return_url: returnUrl }),
  )
  return value.url
}

/** Active recurring prices of a product. @throws StripeCallError */
export async function listPlanPrices(product: string): Promise<Stripe.Price[]> {
  const prices = await all('prices.list', (page) => client().prices.list({ product, active: true, ...page }))
  return prices.filter((price) => price.recurring !== null)
}
