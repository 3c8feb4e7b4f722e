import { z } from 'zod'
import { missing, StripeApiError } from './errors.ts'
import { operation } from './operation.ts'
import { newestFirst, pageOf } from './pagination.ts'
import { expand, page, text } from './params.ts'
import type { PaymentMethodRecord } from './records.ts'
import type { World } from './world.ts'

/** Stripe's test cards that the product's tests need. The second attaches well and fails when charged. */
const TEST_CARDS: Record<string, Pick<PaymentMethodRecord, 'last4' | 'works' | 'type'>> = {
  pm_card_visa: { last4: '4242', works: true },
  pm_card_mastercard: { last4: '4444', works: true },
  pm_sepaDebit: { last4: '3000', works: true, type: 'sepa_debit' },
  pm_card_chargeCustomerFail: { last4: '0341', works: false },
}

export function attachPaymentMethod(world: World, id: string, customer: string): PaymentMethodRecord {
  if (id === 'pm_card_chargeDeclined') throw declined()
  const card = TEST_CARDS[id]
  const known = world.state.paymentMethods[id]
  if (!card && !known) throw missing('PaymentMethod', id, 'payment_method')
  const method = known ?? { ...world.base('pm'), metadata: {}, customer: null, last4: '', works: true, ...card }
  method.customer = customer
  world.state.paymentMethods[method.id] = method
  world.emit('payment_method.attached', renderPaymentMethod(method))
  return method
}

export function declined(): StripeApiError {
  const detail = { code: 'card_declined', decline_code: 'generic_decline' }
  return new StripeApiError(402, 'card_error', 'Your card was declined.', detail)
}

export function renderPaymentMethod(method: PaymentMethodRecord): object {
  return {
    id: method.id,
    object: 'payment_method',
    allow_redisplay: 'unspecified',
    billing_details: { address: null, email: null, name: null, phone: null, tax_id: null },
    ...(method.type === 'sepa_debit' ? { sepa_debit: debitOf(method) } : { card: cardOf(method) }),
    created: method.created,
    customer: method.customer,
    customer_account: null,
    livemode: false,
    metadata: method.metadata,
    type: method.type ?? 'card',
  }
}

const debitOf = ({ last4 }: PaymentMethodRecord): object => ({
  bank_code: '37040044',
  branch_code: '',
  country: 'DE',
  fingerprint: `fp_sbx_${last4}`,
  generated_from: null,
  last4,
})

function cardOf(method: PaymentMethodRecord): object {
  const brand = method.last4 === '4444' ? 'mastercard' : 'visa'
  return {
    brand,
    checks: null,
    country: 'US',
    display_brand: brand,
    exp_month: method.expMonth ?? 12,
    exp_year: method.expYear ?? 2034,
    fingerprint: `fp_sbx_${method.last4}`,
    funding: 'credit',
    generated_from: null,
    last4: method.last4,
    networks: null,
    regulated_status: 'unregulated',
    three_d_secure_usage: null,
    wallet: null,
  }
}

function methodNamed(world: World, id: string): PaymentMethodRecord {
  const method = world.state.paymentMethods[id]
  if (!method) throw missing('PaymentMethod', id, 'payment_method')
  return method
}

export const paymentMethodOperations = [
  operation(
    'paymentMethods.attach',
    'POST /v1/payment_methods/{id}/attach',
    z.strictObject({ customer: text, expand: expand.optional() }),
    (world, params, id) => {
      const customer = world.state.customers[params.customer]
      if (!customer || customer.deleted) throw missing('customer', params.customer, 'customer')
      return renderPaymentMethod(attachPaymentMethod(world, id, customer.id))
    },
  ),
  operation(
    'paymentMethods.detach',
    'POST /v1/payment_methods/{id}/detach',
    z.strictObject({}),
    (world, _params, id) => {
      const method = methodNamed(world, id)
      for (const customer of Object.values(world.state.customers)) {
        if (customer.defaultPaymentMethod === id) customer.defaultPaymentMethod = null
      }
      method.customer = null
      world.emit('payment_method.detached', renderPaymentMethod(method))
      return renderPaymentMethod(method)
    },
  ),
  operation('paymentMethods.retrieve', 'GET /v1/payment_methods/{id}', z.strictObject({}), (world, _params, id) =>
    renderPaymentMethod(methodNamed(world, id)),
  ),
  operation(
    'paymentMethods.list',
    'GET /v1/payment_methods',
    z.strictObject({ ...page, customer: text.optional(), type: z.literal('card').optional() }),
    (world, params) => {
      const all = newestFirst(world.state.paymentMethods).filter(
        (method) => method.customer !== null && (!params.customer || method.customer === params.customer),
      )
      const list = pageOf(all, params, '/v1/payment_methods')
      return { ...list, data: list.data.map(renderPaymentMethod) }
    },
  ),
]
