/** What happens on Checkout's page: it is paid, refused, paid by a debit that settles days later, or left to expire. */
import { newCharge } from './charges.ts'
import { renderCheckout, subtotalOfSession, taxOfSession } from './checkout-object.ts'
import { invalid } from './errors.ts'
import { collect } from './invoice-lifecycle.ts'
import type { CheckoutRecord } from './more-records.ts'
import { attachPaymentMethod, declined } from './payment-methods.ts'
import type { CustomerRecord } from './records.ts'
import { createSubscription } from './subscriptions.ts'
import { taxLocationKnown } from './tax.ts'
import type { World } from './world.ts'

/** `card` works · `declined` is refused at once · `debit` completes unpaid and settles three days later. */
export type Payment = 'card' | 'declined' | 'debit'

const SETTLES_AFTER = 3 * 86_400

/** @throws StripeApiError 402 for the refused card, 400 for an address that tax cannot be computed for */
export function payCheckout(
  world: World,
  session: CheckoutRecord,
  payment: Payment,
  address?: CustomerRecord['address'],
): void {
  if (session.status !== 'open') throw invalid('This Checkout session is over.')
  const customer = world.state.customers[session.customer]
  if (!customer || customer.deleted) throw invalid('The customer of this Checkout session is gone.')
  const place = address ?? customer.address
  if (session.automaticTax && !taxLocationKnown(place))
    throw invalid('Tax cannot be computed for this address: enter the country and the postal code.')
  if (payment === 'declined') throw declined()
  if (address && session.savesAddress) customer.address = { ...customer.address, ...address }
  const method = attachPaymentMethod(world, payment === 'debit' ? 'pm_sepaDebit' : 'pm_card_visa', customer.id)
  customer.defaultPaymentMethod ??= method.id
  session.status = 'complete'
  session.paymentIntent = session.mode === 'payment' ? world.newId('pi') : null
  if (session.mode === 'subscription') subscribe(world, session, method.id, payment === 'card')
  if (payment === 'debit') session.settlesAt = world.seconds() + SETTLES_AFTER
  else {
    session.paymentStatus = 'paid'
    if (session.mode === 'payment') chargeFor(world, session, method.id)
  }
  world.emit('checkout.session.completed', renderCheckout(world, session))
}

function chargeFor(world: World, session: CheckoutRecord, paymentMethod: string): void {
  const amount = subtotalOfSession(session) + taxOfSession(world, session)
  const { customer, currency } = session
  const charge = newCharge(world, { customer, invoice: null, amount, currency, paymentMethod })
  charge.paymentIntent = session.paymentIntent ?? charge.paymentIntent
}

function subscribe(world: World, session: CheckoutRecord, method: string, charge: boolean): void {
  const items = session.lineItems.flatMap(({ price, quantity }) => (price ? [{ price, quantity }] : []))
  const made = createSubscription(world, {
    customer: session.customer,
    items,
    default_payment_method: method,
    automatic_tax: { enabled: session.automaticTax },
    metadata: session.subscriptionMetadata,
    payment_behavior: charge ? 'allow_incomplete' : 'default_incomplete',
  }) as { id: string; latest_invoice: string }
  session.subscription = made.id
  session.invoice = made.latest_invoice
}

/** The bank's answer to the debit. */
export function settleDelayed(world: World, session: CheckoutRecord, succeeded: boolean): void {
  if (session.settlesAt === null) return
  session.settlesAt = null
  const customer = world.state.customers[session.customer]
  if (succeeded) {
    session.paymentStatus = 'paid'
    const invoice = world.state.invoices[session.invoice ?? '']
    if (invoice?.status === 'open') collect(world, invoice)
    else if (session.mode === 'payment') chargeFor(world, session, customer?.defaultPaymentMethod ?? '')
  }
  const type = succeeded ? 'async_payment_succeeded' : 'async_payment_failed'
  world.emit(`checkout.session.${type}`, renderCheckout(world, session))
}

export function expireCheckout(world: World, session: CheckoutRecord): void {
  if (session.status !== 'open') throw invalid('Only Checkout sessions that are open can be expired.')
  session.status = 'expired'
  world.emit('checkout.session.expired', renderCheckout(world, session))
}
