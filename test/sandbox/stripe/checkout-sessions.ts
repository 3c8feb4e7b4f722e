import { z } from 'zod'
import { priceNamed } from './catalogue.ts'
import { renderCheckout } from './checkout-object.ts'
import { expireCheckout } from './checkout-payment.ts'
import { livingCustomer } from './customers.ts'
import { invalid, missing } from './errors.ts'
import type { CheckoutRecord } from './more-records.ts'
import { operation } from './operation.ts'
import { createdWithin, newestFirst, pageOf } from './pagination.ts'
import { boolean, createdFilter, expand, integer, mergeMetadata, metadata, page, text } from './params.ts'
import type { World } from './world.ts'

const priceData = z.strictObject({
  currency: text,
  unit_amount: integer,
  product_data: z.strictObject({ name: text, tax_code: text.optional() }),
  tax_behavior: z.enum(['exclusive', 'inclusive']).optional(),
})
const lineItem = z.strictObject({ price: text.optional(), price_data: priceData.optional(), quantity: integer })
const createParams = z.strictObject({
  mode: z.enum(['payment', 'subscription']),
  customer: text,
  line_items: z.array(lineItem).min(1).max(20),
  success_url: text,
  cancel_url: text.optional(),
  client_reference_id: text.optional(),
  expires_at: integer.optional(),
  automatic_tax: z.strictObject({ enabled: boolean }).optional(),
  allow_promotion_codes: boolean.optional(),
  billing_address_collection: z.enum(['auto', 'required']).optional(),
  customer_update: z
    .strictObject({ address: z.enum(['auto', 'never']).optional(), name: z.enum(['auto', 'never']).optional() })
    .optional(),
  payment_intent_data: z.strictObject({ metadata: metadata.optional(), description: text.optional() }).optional(),
  subscription_data: z.strictObject({ metadata: metadata.optional() }).optional(),
  metadata: metadata.optional(),
  expand: expand.optional(),
})
type CreateParams = z.infer<typeof createParams>

function itemOf(world: World, mode: string, item: z.infer<typeof lineItem>): CheckoutRecord['lineItems'][number] {
  const { price, price_data: data, quantity } = item
  if (data && !price) {
    if (mode === 'subscription') throw invalid('`price_data` of a subscription needs `recurring`.')
    return { price: null, name: data.product_data.name, amount: data.unit_amount, quantity }
  }
  if (!price || data) throw invalid('Each line item must have either `price` or `price_data`.')
  const known = priceNamed(world, price, 'line_items[0][price]')
  if (mode === 'subscription' && !known.recurring)
    throw invalid('You must provide at least one recurring price in `subscription` mode.')
  if (mode === 'payment' && known.recurring) throw invalid('You specified `payment` mode but passed a recurring price.')
  return { price, name: world.state.products[known.product]?.name ?? '', amount: known.unitAmount, quantity }
}

function create(world: World, params: CreateParams): object {
  const customer = livingCustomer(world, params.customer)
  const automaticTax = params.automatic_tax?.enabled ?? false
  const savesAddress = params.customer_update?.address === 'auto'
  // Stripe's own refusal: tax for an existing customer needs an address that is there, or that may be saved.
  if (automaticTax && !savesAddress && !customer.address)
    throw invalid(
      'Automatic tax calculation in Checkout requires a valid address on the Customer. Set `customer_update[address]` to `auto`.',
      'customer_tax_location_invalid',
    )
  const base = world.base('cs')
  const [first] = params.line_items
  const currency = first?.price ? priceNamed(world, first.price).currency : (first?.price_data?.currency ?? 'usd')
  const expiresAt = params.expires_at ?? base.created + 86_400
  if (expiresAt < base.created + 1_800 || expiresAt > base.created + 86_400)
    throw invalid('The expiry must be between 30 minutes and 24 hours from now.', undefined, 'expires_at')
  const session: CheckoutRecord = {
    ...base,
    metadata: mergeMetadata({}, params.metadata),
    mode: params.mode,
    customer: customer.id,
    status: 'open',
    paymentStatus: 'unpaid',
    lineItems: params.line_items.map((item) => itemOf(world, params.mode, item)),
    currency: currency.toLowerCase(),
    automaticTax,
    takesPromotionCodes: params.allow_promotion_codes ?? null,
    savesAddress,
    clientReferenceId: params.client_reference_id ?? null,
    successUrl: params.success_url,
    cancelUrl: params.cancel_url ?? null,
    expiresAt,
    subscription: null,
    invoice: null,
    paymentIntent: null,
    subscriptionMetadata: mergeMetadata({}, params.subscription_data?.metadata),
    settlesAt: null,
  }
  world.state.checkoutSessions[session.id] = session
  return renderCheckout(world, session)
}

export function checkoutNamed(world: World, id: string): CheckoutRecord {
  const session = world.state.checkoutSessions[id]
  if (!session) throw missing('checkout.session', id)
  return session
}

const listParams = z.strictObject({
  ...page,
  ...createdFilter,
  customer: text.optional(),
  payment_intent: text.optional(),
  status: z.enum(['complete', 'expired', 'open']).optional(),
})
const only = z.strictObject({ expand: expand.optional() })

export const checkoutOperations = [
  operation('checkout.sessions.create', 'POST /v1/checkout/sessions', createParams, create),
  operation('checkout.sessions.expire', 'POST /v1/checkout/sessions/{id}/expire', only, (world, _params, id) => {
    const session = checkoutNamed(world, id)
    expireCheckout(world, session)
    return renderCheckout(world, session)
  }),
  operation('checkout.sessions.retrieve', 'GET /v1/checkout/sessions/{id}', only, (world, _params, id) =>
    renderCheckout(world, checkoutNamed(world, id)),
  ),
  operation('checkout.sessions.list', 'GET /v1/checkout/sessions', listParams, (world, params) => {
    const all = newestFirst(world.state.checkoutSessions).filter(
      (session) =>
        (!params.customer || session.customer === params.customer) &&
        (!params.payment_intent || session.paymentIntent === params.payment_intent) &&
        (!params.status || session.status === params.status) &&
        createdWithin(session.created, params.created),
    )
    const list = pageOf(all, params, '/v1/checkout/sessions')
    return { ...list, data: list.data.map((session) => renderCheckout(world, session)) }
  }),
]
