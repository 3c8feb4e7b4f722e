import type { CheckoutRecord } from './more-records.ts'
import type { World } from './world.ts'

export const subtotalOfSession = (session: CheckoutRecord): number =>
  session.lineItems.reduce((sum, item) => sum + item.amount * item.quantity, 0)

/** Tax is known once the place is: after the page was filled in. */
export function taxOfSession(world: World, session: CheckoutRecord): number {
  if (!session.automaticTax) return 0
  return Math.round((subtotalOfSession(session) * world.state.settings.taxBasisPoints) / 10_000)
}

export function renderCheckout(world: World, session: CheckoutRecord): object {
  const subtotal = subtotalOfSession(session)
  const tax = session.status === 'complete' ? taxOfSession(world, session) : 0
  const customer = world.state.customers[session.customer]
  const blank = { city: null, country: null, line1: null, line2: null, postal_code: null, state: null }
  return {
    ...CONSTANTS,
    allow_promotion_codes: session.takesPromotionCodes,
    id: session.id,
    amount_subtotal: subtotal,
    amount_total: subtotal + tax,
    automatic_tax: {
      enabled: session.automaticTax,
      liability: session.automaticTax ? { type: 'self' } : null,
      provider: session.automaticTax ? 'stripe' : null,
      status: session.automaticTax ? (session.status === 'complete' ? 'complete' : 'requires_location_inputs') : null,
    },
    cancel_url: session.cancelUrl,
    client_reference_id: session.clientReferenceId,
    created: session.created,
    currency: session.currency,
    customer: session.customer,
    customer_details:
      session.status === 'complete'
        ? {
            address: customer?.address ? { ...blank, ...customer.address } : null,
            business_name: null,
            email: customer?.email ?? null,
            individual_name: null,
            name: customer?.name ?? null,
            phone: null,
            tax_exempt: 'none',
            tax_ids: [],
          }
        : null,
    expires_at: session.expiresAt,
    invoice: session.invoice,
    metadata: session.metadata,
    mode: session.mode,
    payment_intent: session.paymentIntent,
    payment_status: session.paymentStatus,
    status: session.status,
    subscription: session.subscription,
    success_url: session.successUrl,
    total_details: { amount_discount: 0, amount_shipping: 0, amount_tax: tax },
    url: session.status === 'open' ? `${world.baseUrl}/_sandbox/checkout/${session.id}` : null,
  }
}

const CONSTANTS = {
  object: 'checkout.session',
  adaptive_pricing: null,
  after_expiration: null,
  allowed_payment_method_types: null,
  billing_address_collection: null,
  client_secret: null,
  collected_information: null,
  consent: null,
  consent_collection: null,
  currency_conversion: null,
  custom_fields: [],
  custom_text: { after_submit: null, shipping_address: null, submit: null, terms_of_service_acceptance: null },
  customer_account: null,
  customer_creation: null,
  customer_email: null,
  discounts: [],
  integration_identifier: null,
  invoice_creation: null,
  livemode: false,
  locale: null,
  managed_payments: null,
  origin_context: null,
  payment_link: null,
  payment_method_collection: 'always',
  payment_method_configuration_details: null,
  payment_method_options: {},
  payment_method_types: ['card', 'sepa_debit'],
  permissions: null,
  recovered_from: null,
  saved_payment_method_options: null,
  setup_intent: null,
  shipping_address_collection: null,
  shipping_cost: null,
  shipping_options: [],
  submit_type: null,
  ui_mode: 'hosted_page',
  wallet_options: null,
}
