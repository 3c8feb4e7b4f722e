/** The invoice state machine: draft → open → paid | void | uncollectible, uncollectible → paid | void (stripe §1.5 rule 2). */
import { requireInvoiceAllowed } from './account-limits.ts'
import { priceNamed } from './catalogue.ts'
import { newCharge } from './charges.ts'
import { changeBalance } from './customer-balance.ts'
import { invalid, missing, type StripeApiError } from './errors.ts'
import { amountDue, renderInvoice, totalOf } from './invoice-object.ts'
import { declined } from './payment-methods.ts'
import type { InvoiceItemRecord, InvoiceRecord, InvoiceStatus, SubscriptionRecord } from './records.ts'
import { collectionFailed, invoicePaid } from './subscription-payments.ts'
import { requireTaxableItems, taxLocationKnown } from './tax.ts'
import type { World } from './world.ts'

const DAY_SECONDS = 86_400
/** Smallest charge per currency in minor units; anything below is marked paid and carried on the customer's balance. */
/** Days between one attempt to collect and the next; after the last the subscription ends as the account says. */
const RETRY_DAYS = [3, 5, 7]
const MINIMUM_CHARGE: Record<string, number> = { usd: 50, eur: 50, gbp: 30, jpy: 50 }

export function invoiceNamed(world: World, id: string, param = 'invoice'): InvoiceRecord {
  const invoice = world.state.invoices[id]
  if (!invoice || invoice.deleted) throw missing('invoice', id, param)
  return invoice
}

export function newInvoice(world: World, customer: string, currency: string): InvoiceRecord {
  const invoice: InvoiceRecord = {
    ...world.base('in'),
    metadata: {},
    deleted: false,
    customer,
    subscription: null,
    status: 'draft',
    currency,
    autoAdvance: false,
    automaticTax: false,
    taxStatus: null,
    billingReason: 'manual',
    collectionMethod: 'charge_automatically',
    daysUntilDue: null,
    dueDate: null,
    description: null,
    footer: null,
    number: null,
    amountPaid: 0,
    startingBalance: 0,
    endingBalance: null,
    attempted: false,
    attemptCount: 0,
    finalizedAt: null,
    paidAt: null,
    voidedAt: null,
    uncollectibleAt: null,
    finalizationError: null,
    taxBasisPoints: null,
    autoFinalizesAt: null,
    nextPaymentAttempt: null,
    amountOverpaid: 0,
  }
  world.state.invoices[invoice.id] = invoice
  return invoice
}

/** @throws StripeApiError `invoice_not_editable` for anything that left draft. */
export function requireDraft(invoice: InvoiceRecord): void {
  if (invoice.status === 'draft') return
  throw invalid('This invoice is no longer editable', 'invoice_not_editable')
}

export function requireStatus(invoice: InvoiceRecord, allowed: InvoiceStatus[], verb: string): void {
  if (allowed.includes(invoice.status)) return
  const message = `You can only ${verb} an invoice with one of the statuses: ${allowed.join(', ')}. This one is ${invoice.status}.`
  throw invalid(message, invoice.status === 'paid' ? 'invoice_already_paid' : 'invoice_not_editable')
}

/** Gives the number, fixes the amounts; zero is paid at once, and less than the minimum moves to the customer's balance. */
export function finalizeInvoice(world: World, invoice: InvoiceRecord): void {
  requireDraft(invoice)
  const customer = world.state.customers[invoice.customer]
  if (!customer || customer.deleted) throw missing('customer', invoice.customer, 'customer')
  if (totalOf(world, invoice.id) < 0) throw invalid('The sandbox does not finalise invoices with a negative total.')
  if (invoice.automaticTax) requireTaxableItems(world, invoice)
  if (invoice.automaticTax && !taxLocationKnown(customer.address)) throw taxLocationMissing(world, invoice)
  invoice.taxStatus = invoice.automaticTax ? 'complete' : null
  invoice.taxBasisPoints = world.state.settings.taxBasisPoints
  invoice.autoFinalizesAt = null
  invoice.finalizationError = null
  invoice.number = `${customer.invoicePrefix}-${String(customer.nextInvoiceNumber).padStart(4, '0')}`
  customer.nextInvoiceNumber += 1
  invoice.startingBalance = customer.balance
  invoice.finalizedAt = world.seconds()
  invoice.status = 'open'
  invoice.dueDate = invoice.daysUntilDue === null ? null : invoice.finalizedAt + invoice.daysUntilDue * DAY_SECONDS
  const due = amountDue(world, invoice)
  const carried = due < (MINIMUM_CHARGE[invoice.currency] ?? 50)
  invoice.endingBalance = carried ? due : 0
  const applied = invoice.endingBalance - customer.balance
  const type = carried ? ('invoice_too_small' as const) : ('applied_to_invoice' as const)
  if (applied) changeBalance(world, customer, { amount: applied, type, invoice: invoice.id })
  world.emit('invoice.finalized', renderInvoice(world, invoice))
  if (carried) markPaid(world, invoice)
}

function taxLocationMissing(world: World, invoice: InvoiceRecord): StripeApiError {
  invoice.taxStatus = 'requires_location_inputs'
  invoice.finalizationError = 'customer_tax_location_invalid'
  world.emit('invoice.finalization_failed', renderInvoice(world, invoice))
  return invalid(
    'The customer’s location is not recognized. Set a valid customer address.',
    'customer_tax_location_invalid',
  )
}

function markPaid(world: World, invoice: InvoiceRecord, charged: string | null = null): void {
  invoice.amountPaid = amountDue(world, invoice)
  invoice.status = 'paid'
  invoice.paidAt = world.seconds()
  invoice.attempted = true
  invoice.nextPaymentAttempt = null
  if (charged && invoice.amountPaid > 0) {
    const { customer, id, amountPaid: amount, currency } = invoice
    newCharge(world, { customer, invoice: id, amount, currency, paymentMethod: charged })
  }
  world.emit('invoice.paid', renderInvoice(world, invoice))
  invoicePaid(world, invoice)
}

/** @returns whether the money came. A failure leaves the invoice open, plans the next attempt and tells the endpoints. */
export function collect(world: World, invoice: InvoiceRecord, outOfBand = false): boolean {
  requireStatus(invoice, ['open', 'uncollectible'], 'pay')
  const customer = world.state.customers[invoice.customer]
  const own = invoice.subscription ? world.state.subscriptions[invoice.subscription]?.defaultPaymentMethod : null
  const method = world.state.paymentMethods[own ?? customer?.defaultPaymentMethod ?? '']
  if (outOfBand || method?.works) {
    markPaid(world, invoice, outOfBand ? null : (method?.id ?? null))
    return true
  }
  invoice.attempted = true
  invoice.attemptCount += 1
  const days = invoice.autoAdvance ? RETRY_DAYS[invoice.attemptCount - 1] : undefined
  invoice.nextPaymentAttempt = days === undefined ? null : world.seconds() + days * DAY_SECONDS
  world.emit('invoice.payment_failed', renderInvoice(world, invoice))
  collectionFailed(world, invoice)
  return false
}

/** @throws StripeApiError 402 with the card's refusal, 400 when there is nothing to charge. */
export function payNow(world: World, invoice: InvoiceRecord, outOfBand: boolean): void {
  requireStatus(invoice, ['open', 'uncollectible'], 'pay')
  const charged = world.state.customers[invoice.customer]?.defaultPaymentMethod
  if (collect(world, invoice, outOfBand)) return
  if (charged) throw declined()
  throw invalid('There is no `default_payment_method` set on this Customer or Invoice. Please set one and try again.')
}

/** Stripe tries to collect after it has answered, so the answer to finalise still says `open`. */
export function collectAutomatically(world: World, id: string): void {
  const invoice = world.state.invoices[id]
  if (invoice?.status !== 'open' || !invoice.autoAdvance || invoice.collectionMethod !== 'charge_automatically') return
  collect(world, invoice)
}

interface FeeInvoice {
  reason: 'subscription_create' | 'subscription_cycle' | 'subscription_update'
  /** Of an upgrade that waits for its payment: what it is going to cost. */
  price?: string
}

/** A draft with the plan fee's lines, as Stripe makes them by itself. */
export function feeInvoice(world: World, subscription: SubscriptionRecord, fee: FeeInvoice): InvoiceRecord {
  if (fee.reason === 'subscription_update') requireInvoiceAllowed(world, subscription.id)
  const invoice = newInvoice(world, subscription.customer, subscription.currency)
  const automaticTax = subscription.automaticTax ?? false
  Object.assign(invoice, { subscription: subscription.id, billingReason: fee.reason, autoAdvance: true, automaticTax })
  for (const item of subscription.items) {
    const price = priceNamed(world, fee.price ?? item.price)
    const free = subscription.trialEnd !== null && fee.reason === 'subscription_create'
    const line: InvoiceItemRecord = {
      ...world.base('ii'),
      metadata: {},
      customer: subscription.customer,
      invoice: invoice.id,
      lineId: world.newId('il'),
      amount: free ? 0 : price.unitAmount * item.quantity,
      currency: price.currency,
      description: `${item.quantity} × ${world.state.products[price.product]?.name ?? ''}`,
      period: { start: subscription.periodStart, end: subscription.periodEnd },
      subscriptionItem: item.id,
    }
    world.state.invoiceItems[line.id] = line
  }
  subscription.latestInvoice = invoice.id
  world.emit('invoice.created', renderInvoice(world, invoice))
  return invoice
}

/** The plan fee's own first invoice, so that a customer's list holds invoices that are not ours. @returns whether it is paid. */
export function createSubscriptionInvoice(world: World, subscription: SubscriptionRecord, charge: boolean): boolean {
  const invoice = feeInvoice(world, subscription, { reason: 'subscription_create' })
  finalizeInvoice(world, invoice)
  if (invoice.status === 'open' && charge) collect(world, invoice)
  return invoice.status !== 'open'
}
