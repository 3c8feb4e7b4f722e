/** What Stripe knows of money that was given back, and whose invoice it was of. */
import type Stripe from 'stripe'
import { call, client, orMissing } from './stripe-client.server.ts'

/** @throws StripeCallError */
export const findCreditNote = (id: string): Promise<Stripe.CreditNote | null> =>
  orMissing(call('creditNotes.retrieve', 'credit_note', () => client().creditNotes.retrieve(id)))

/** @throws StripeCallError */
export const findCharge = (id: string): Promise<Stripe.Charge | null> =>
  orMissing(call('charges.retrieve', 'charge', () => client().charges.retrieve(id)))

/** @throws StripeCallError */
export const findDispute = (id: string): Promise<Stripe.Dispute | null> =>
  orMissing(call('disputes.retrieve', 'dispute', () => client().disputes.retrieve(id)))

/** The invoice that a payment was for; they no longer name each other (stripe §2.9 basil). @throws StripeCallError */
export async function invoiceOfPayment(paymentIntent: string | null): Promise<string | null> {
  if (!paymentIntent) return null
  const payment = { type: 'payment_intent' as const, payment_intent: paymentIntent }
  const { value } = await call('invoicePayments.list', 'list', () =>
    client().invoicePayments.list({ payment, limit: 1 }),
  )
  const invoice = value.data[0]?.invoice
  return typeof invoice === 'string' ? invoice : (invoice?.id ?? null)
}
