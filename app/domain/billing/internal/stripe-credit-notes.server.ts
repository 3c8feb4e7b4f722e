/** Credit notes at Stripe: what an operator decided to give back. */
import type Stripe from 'stripe'
import { all, call, client } from './stripe-client.server.ts'
import type { Receipt } from './writer-ports.ts'

/** @throws StripeCallError */
export const createCreditNote = (
  request: Stripe.CreditNoteCreateParams,
  idempotencyKey: string,
): Promise<Receipt<Stripe.CreditNote>> =>
  call('creditNotes.create', 'credit_note', () => client().creditNotes.create(request, { idempotencyKey }))

/** All credit notes of an invoice. @throws StripeCallError */
export const listCreditNotes = (invoice: string): Promise<Stripe.CreditNote[]> =>
  all('creditNotes.list', (page) => client().creditNotes.list({ invoice, ...page }))

/**
 * How much of a credited amount was paid already: that part has to go back to the customer, the rest only lowers what is open
 * (stripe §3 "corrections": the two must add up exactly). @throws StripeCallError
 */
export async function paidPartOf(invoice: string, amount: number): Promise<number> {
  const { value } = await call('invoices.retrieve', 'invoice', () => client().invoices.retrieve(invoice))
  const open = value.status === 'open' ? value.amount_remaining : 0
  return Math.max(0, amount - open)
}
