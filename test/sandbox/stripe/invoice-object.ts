import { pageOf } from './pagination.ts'
import type { InvoiceItemRecord, InvoiceRecord } from './records.ts'
import type { World } from './world.ts'

/** The items of an invoice in the order they were added, which is the order Stripe lists lines in. */
export function itemsOf(world: World, invoice: string): InvoiceItemRecord[] {
  return Object.values(world.state.invoiceItems)
    .filter((item) => item.invoice === invoice)
    .sort((a, b) => a.sequence - b.sequence)
}

export function subtotalOf(world: World, invoice: string): number {
  return itemsOf(world, invoice).reduce((sum, item) => sum + item.amount, 0)
}

/** Exclusive tax in minor units: at the rate it was finalised at, before that at today's. */
export function taxOf(world: World, invoice: InvoiceRecord): number {
  if (!invoice.automaticTax) return 0
  const rate = invoice.taxBasisPoints ?? world.state.settings.taxBasisPoints
  return Math.round((subtotalOf(world, invoice.id) * rate) / 10_000)
}

export function totalOf(world: World, id: string): number {
  const invoice = world.state.invoices[id]
  return subtotalOf(world, id) + (invoice ? taxOf(world, invoice) : 0)
}

/** Issued credit notes of an invoice: what lessened the debt, and what was given back after it was paid. */
export function creditedOf(world: World, invoice: string): { prePayment: number; postPayment: number } {
  const notes = Object.values(world.state.creditNotes).filter(
    (note) => note.invoice === invoice && note.status === 'issued',
  )
  const prePayment = notes.reduce((sum, note) => sum + note.prePayment, 0)
  return { prePayment, postPayment: notes.reduce((sum, note) => sum + note.amount, 0) - prePayment }
}

/** What the customer owes for it: never negative, and nothing once the debt was moved to the customer's balance. */
export function amountDue(world: World, invoice: InvoiceRecord): number {
  if (invoice.endingBalance !== null && invoice.endingBalance > 0) return 0
  return Math.max(0, totalOf(world, invoice.id) + invoice.startingBalance)
}

export function linesPage(world: World, invoice: string, params: Parameters<typeof pageOf>[1]) {
  const lines = itemsOf(world, invoice).map(renderLine)
  return pageOf(lines, params, `/v1/invoices/${invoice}/lines`)
}

export function renderInvoice(world: World, invoice: InvoiceRecord): object {
  if (invoice.deleted) return { id: invoice.id, object: 'invoice', deleted: true }
  const customer = world.state.customers[invoice.customer]
  const subtotal = subtotalOf(world, invoice.id)
  const tax = taxOf(world, invoice)
  const due = amountDue(world, invoice)
  const credited = creditedOf(world, invoice.id)
  return {
    ...CONSTANTS,
    id: invoice.id,
    amount_due: due,
    amount_overpaid: invoice.amountOverpaid ?? 0,
    amount_paid: invoice.amountPaid,
    amount_remaining: Math.max(0, due - invoice.amountPaid - credited.prePayment),
    attempt_count: invoice.attemptCount,
    attempted: invoice.attempted,
    auto_advance: invoice.autoAdvance,
    automatically_finalizes_at: invoice.autoFinalizesAt ?? null,
    automatic_tax: {
      disabled_reason:
        invoice.taxStatus === 'requires_location_inputs' ? 'finalization_requires_location_inputs' : null,
      enabled: invoice.automaticTax,
      liability: invoice.automaticTax ? { type: 'self' } : null,
      provider: invoice.automaticTax ? 'stripe' : null,
      status: invoice.taxStatus,
    },
    billing_reason: invoice.billingReason,
    collection_method: invoice.collectionMethod,
    created: invoice.created,
    currency: invoice.currency,
    customer: invoice.customer,
    customer_address: null,
    customer_email: customer?.email ?? null,
    customer_name: customer?.name ?? null,
    description: invoice.description,
    due_date: invoice.dueDate,
    effective_at: invoice.finalizedAt,
    ending_balance: invoice.endingBalance,
    footer: invoice.footer,
    hosted_invoice_url: invoice.finalizedAt ? `${world.baseUrl}/_sandbox/invoices/${invoice.id}` : null,
    invoice_pdf: null,
    last_finalization_error: invoice.finalizationError && {
      type: 'invalid_request_error',
      code: invoice.finalizationError,
    },
    lines: linesPage(world, invoice.id, {}),
    metadata: invoice.metadata,
    number: invoice.number,
    parent: invoice.subscription && {
      quote_details: null,
      subscription_details: { metadata: {}, subscription: invoice.subscription },
      type: 'subscription_details',
    },
    next_payment_attempt: invoice.nextPaymentAttempt ?? null,
    period_end: invoice.created,
    period_start: invoice.created,
    starting_balance: invoice.startingBalance,
    status: invoice.status,
    status_transitions: {
      finalized_at: invoice.finalizedAt,
      marked_uncollectible_at: invoice.uncollectibleAt,
      paid_at: invoice.paidAt,
      voided_at: invoice.voidedAt,
    },
    post_payment_credit_notes_amount: credited.postPayment,
    pre_payment_credit_notes_amount: credited.prePayment,
    subtotal,
    subtotal_excluding_tax: subtotal,
    test_clock: customer?.testClock ?? null,
    total: subtotal + tax,
    total_excluding_tax: subtotal,
    total_taxes: invoice.automaticTax && invoice.taxStatus === 'complete' ? [taxLine(tax, subtotal)] : [],
    webhooks_delivered_at: invoice.created,
  }
}

const CONSTANTS = {
  object: 'invoice',
  account_country: 'US',
  account_name: 'Keymargin sandbox',
  account_tax_ids: null,
  amount_shipping: 0,
  application: null,
  custom_fields: null,
  customer_account: null,
  customer_phone: null,
  customer_shipping: null,
  customer_tax_exempt: 'none',
  customer_tax_ids: [],
  default_payment_method: null,
  default_source: null,
  default_tax_rates: [],
  discounts: [],
  from_invoice: null,
  issuer: { type: 'self' },
  latest_revision: null,
  livemode: false,
  on_behalf_of: null,
  payment_settings: { default_mandate: null, payment_method_options: null, payment_method_types: null },
  receipt_number: null,
  rendering: null,
  shipping_cost: null,
  shipping_details: null,
  statement_descriptor: null,
  total_discount_amounts: [],
  total_pretax_credit_amounts: [],
}

function taxLine(amount: number, taxable: number): object {
  const tax_rate_details = { tax_rate: 'txr_sbx_automatic' }
  const facts = { tax_behavior: 'exclusive', taxability_reason: 'standard_rated', taxable_amount: taxable }
  return { amount, ...facts, tax_rate_details, type: 'tax_rate_details' }
}

/** An amount without a price gets one of its own behind the scenes. */
function pricing(amount: number): object {
  const price_details = { price: 'price_sbx_inline', product: 'prod_sbx_inline' }
  return { price_details, type: 'price_details', unit_amount_decimal: String(amount) }
}

function renderLine(item: InvoiceItemRecord) {
  const details = {
    invoice_item: item.id,
    proration: false,
    proration_details: { credited_items: null },
    subscription: null,
  }
  const subscribed = { ...details, invoice_item: null, subscription_item: item.subscriptionItem }
  return {
    id: item.lineId,
    object: 'line_item',
    amount: item.amount,
    currency: item.currency,
    description: item.description,
    discount_amounts: [],
    discountable: false,
    discounts: [],
    invoice: item.invoice,
    livemode: false,
    metadata: item.metadata,
    parent: {
      invoice_item_details: item.subscriptionItem ? null : details,
      subscription_item_details: item.subscriptionItem ? subscribed : null,
      type: item.subscriptionItem ? 'subscription_item_details' : 'invoice_item_details',
    },
    period: item.period,
    pretax_credit_amounts: [],
    pricing: pricing(item.amount),
    quantity: 1,
    quantity_decimal: '1',
    subscription: null,
    subtotal: item.amount,
    taxes: [],
  }
}

export function renderInvoiceItem(item: InvoiceItemRecord): object {
  return {
    id: item.id,
    object: 'invoiceitem',
    amount: item.amount,
    currency: item.currency,
    customer: item.customer,
    customer_account: null,
    date: item.created,
    description: item.description,
    discountable: false,
    discounts: [],
    invoice: item.invoice,
    livemode: false,
    metadata: item.metadata,
    net_amount: item.amount,
    parent: null,
    period: item.period,
    pricing: pricing(item.amount),
    proration: false,
    quantity: 1,
    quantity_decimal: '1',
    tax_rates: [],
    test_clock: null,
  }
}
