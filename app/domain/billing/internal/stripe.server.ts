/** What the writer of invoices asks of Stripe. */
import type Stripe from 'stripe'
import { env } from '#app/platform/env.server.ts'
import { StripeCallError } from './stripe-call-error.ts'
import { all, call, client, orMissing } from './stripe-client.server.ts'
import type { InvoiceRequest, ItemRequest, Receipt, StripeInvoice, StripeLine } from './writer-ports.ts'

/** @returns null where the customer is unknown or deleted. @throws StripeCallError */
export async function findCustomer(id: string): Promise<{ currency: string | null } | null> {
  const found = await orMissing(call('customers.retrieve', 'customer', () => client().customers.retrieve(id)))
  return found === null || found.deleted ? null : { currency: found.currency ?? null }
}

/** @returns null where it is unknown or deleted. @throws StripeCallError */
export async function findInvoice(id: string): Promise<StripeInvoice | null> {
  return orMissing(call('invoices.retrieve', 'invoice', () => client().invoices.retrieve(id)))
}

/** A draft that Stripe does not touch on its own, and that sweeps up no pending items (stripe §2.2). @throws StripeCallError */
export function createInvoice(request: InvoiceRequest, idempotencyKey: string): Promise<Receipt<StripeInvoice>> {
  const fixed = {
    collection_method: 'charge_automatically',
    auto_advance: false,
    pending_invoice_items_behavior: 'exclude',
    automatic_tax: { enabled: env().stripeTax === 'automatic' },
  } as const
  return call('invoices.create', 'invoice', () =>
    client().invoices.create({ ...request, ...fixed }, { idempotencyKey }),
  )
}

/** Always with its invoice: an item without one is swept onto whatever invoice comes next. @throws StripeCallError */
export function createInvoiceItem(request: ItemRequest, idempotencyKey: string): Promise<Receipt<Stripe.InvoiceItem>> {
  // Said also while tax is off: an item that leaves it open cannot be finalised once tax is on (stripe §2.5).
  const tax = { tax_behavior: 'exclusive' as const, ...(env().stripeTaxCode && { tax_code: env().stripeTaxCode }) }
  return call('invoiceItems.create', 'invoiceitem', () =>
    client().invoiceItems.create({ ...request, ...tax }, { idempotencyKey }),
  )
}

/** Gives the invoice its number and lets Stripe collect. @throws StripeCallError */
export function finalizeInvoice(id: string, idempotencyKey: string): Promise<Receipt<StripeInvoice>> {
  return call('invoices.finalizeInvoice', 'invoice', () =>
    client().invoices.finalizeInvoice(id, { auto_advance: true }, { idempotencyKey }),
  )
}

/** Every line, however many: Stripe shows ten unless it is asked on. @throws StripeCallError */
export function listLines(invoice: string): Promise<StripeLine[]> {
  return all('invoices.listLineItems', (page) => client().invoices.listLineItems(invoice, page))
}

/** Newest first. The search call is not used: it lags by a minute and more behind what was written (stripe §2.3). */
export function listInvoices(customer: string): Promise<StripeInvoice[]> {
  return all('invoices.list', (page) => client().invoices.list({ customer, ...page }))
}

/** One that the key does not know, being of another mode or account, has none: it was left for that very reason. @throws StripeCallError */
export async function listInvoicesOfFormer(customer: string): Promise<StripeInvoice[]> {
  try {
    return await listInvoices(customer)
  } catch (error) {
    if (error instanceof StripeCallError && error.failure.code === 'resource_missing') return []
    throw error
  }
}
