import { z } from 'zod'
import { invalid, missing } from './errors.ts'
import { operation, previousAttributes } from './operation.ts'
import { createdWithin, newestFirst, pageOf } from './pagination.ts'
import { address, clearable, createdFilter, expand, mergeMetadata, metadata, page, text } from './params.ts'
import { attachPaymentMethod } from './payment-methods.ts'
import type { CustomerRecord } from './records.ts'
import { endSubscription } from './subscription-object.ts'
import { taxLocationKnown } from './tax.ts'
import type { World } from './world.ts'

const fields = {
  name: clearable.optional(),
  email: clearable.optional(),
  description: clearable.optional(),
  address: address.optional(),
  metadata: metadata.optional(),
  invoice_settings: z.strictObject({ default_payment_method: clearable.optional() }).optional(),
  tax: z.strictObject({ validate_location: z.enum(['deferred', 'immediately']).optional() }).optional(),
  expand: expand.optional(),
}
const createParams = z.strictObject({ ...fields, payment_method: text.optional(), test_clock: text.optional() })
const updateParams = z.strictObject(fields)

/** @throws StripeApiError resource_missing, also when the customer was deleted. */
export function livingCustomer(world: World, id: string, param = 'customer'): CustomerRecord {
  const customer = world.state.customers[id]
  if (!customer || customer.deleted) throw missing('customer', id, param)
  return customer
}

export function renderCustomer(customer: CustomerRecord): object {
  if (customer.deleted) return { id: customer.id, object: 'customer', deleted: true }
  const blank = { city: null, country: null, line1: null, line2: null, postal_code: null, state: null }
  return {
    id: customer.id,
    object: 'customer',
    address: customer.address && { ...blank, ...customer.address },
    balance: customer.balance,
    created: customer.created,
    currency: customer.currency,
    customer_account: null,
    default_source: null,
    delinquent: false,
    description: customer.description,
    email: customer.email,
    invoice_prefix: customer.invoicePrefix,
    invoice_settings: {
      custom_fields: null,
      default_payment_method: customer.defaultPaymentMethod,
      footer: null,
      rendering_options: null,
    },
    livemode: false,
    metadata: customer.metadata,
    name: customer.name,
    next_invoice_sequence: customer.nextInvoiceNumber,
    shipping: null,
    tax_exempt: 'none',
    test_clock: customer.testClock ?? null,
  }
}

function apply(world: World, customer: CustomerRecord, params: z.infer<typeof updateParams>): void {
  if (params.name !== undefined) customer.name = params.name
  if (params.email !== undefined) customer.email = params.email
  if (params.description !== undefined) customer.description = params.description
  if (params.address) customer.address = { ...customer.address, ...params.address }
  if (params.tax?.validate_location === 'immediately' && !taxLocationKnown(customer.address)) {
    throw invalid('The customer’s location is not recognized.', 'customer_tax_location_invalid')
  }
  customer.metadata = mergeMetadata(customer.metadata, params.metadata)
  const chosen = params.invoice_settings?.default_payment_method
  if (chosen === undefined) return
  if (chosen !== null && world.state.paymentMethods[chosen]?.customer !== customer.id) {
    throw invalid(
      `The customer does not have a payment method with the ID ${chosen}.`,
      'resource_missing',
      'invoice_settings[default_payment_method]',
    )
  }
  customer.defaultPaymentMethod = chosen
}

function create(world: World, params: z.infer<typeof createParams>): object {
  const base = world.base('cus')
  const customer: CustomerRecord = {
    ...base,
    metadata: {},
    deleted: false,
    name: null,
    email: null,
    description: null,
    address: null,
    balance: 0,
    currency: null,
    invoicePrefix: base.id.slice(-8),
    nextInvoiceNumber: 1,
    defaultPaymentMethod: null,
    testClock: params.test_clock ?? null,
  }
  if (params.test_clock && !world.state.testClocks[params.test_clock]) throw missing('test_clock', params.test_clock)
  // A test card such as pm_card_visa becomes a payment method of this customer, under an id of its own.
  const { payment_method: card, invoice_settings: settings, test_clock: _clock, ...rest } = params
  const attached = card && attachPaymentMethod(world, card, customer.id).id
  const chosen = settings?.default_payment_method
  apply(world, customer, { ...rest, invoice_settings: { default_payment_method: chosen === card ? attached : chosen } })
  world.state.customers[customer.id] = customer
  world.emit('customer.created', renderCustomer(customer))
  return renderCustomer(customer)
}

function update(world: World, params: z.infer<typeof updateParams>, id: string): object {
  const customer = livingCustomer(world, id, 'id')
  const before = renderCustomer(customer)
  const draft = structuredClone(customer)
  apply(world, draft, params)
  world.state.customers[id] = draft
  world.emit('customer.updated', renderCustomer(draft), previousAttributes(before, renderCustomer(draft)))
  return renderCustomer(draft)
}

/** Deleting a customer ends its subscriptions at once (stripe §2.7). */
function remove(world: World, _params: unknown, id: string): object {
  const customer = livingCustomer(world, id, 'id')
  for (const subscription of Object.values(world.state.subscriptions)) {
    if (subscription.customer === id && !subscription.endedAt) endSubscription(world, subscription)
  }
  const before = renderCustomer(customer)
  customer.deleted = true
  world.emit('customer.deleted', before)
  return renderCustomer(customer)
}

export const customerOperations = [
  operation('customers.create', 'POST /v1/customers', createParams, create),
  operation('customers.update', 'POST /v1/customers/{id}', updateParams, update),
  operation('customers.del', 'DELETE /v1/customers/{id}', z.strictObject({}), remove),
  operation(
    'customers.retrieve',
    'GET /v1/customers/{id}',
    z.strictObject({ expand: expand.optional() }),
    (world, _params, id) => {
      const customer = world.state.customers[id]
      if (!customer) throw missing('customer', id)
      return renderCustomer(customer)
    },
  ),
  operation(
    'customers.list',
    'GET /v1/customers',
    z.strictObject({ ...page, ...createdFilter, email: text.optional() }),
    (world, params) => {
      const all = newestFirst(world.state.customers).filter(
        (customer) =>
          !customer.deleted &&
          (params.email === undefined || customer.email === params.email) &&
          createdWithin(customer.created, params.created),
      )
      const list = pageOf(all, params, '/v1/customers')
      return { ...list, data: list.data.map(renderCustomer) }
    },
  ),
]
