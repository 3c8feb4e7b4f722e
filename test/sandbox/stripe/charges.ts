/** Charges, what connects them with invoices, and what undoes them: refunds by request, disputes by control. */
import { z } from 'zod'
import { renderCharge, renderDispute, renderInvoicePayment, renderRefund } from './charge-object.ts'
import { invalid, missing } from './errors.ts'
import type { ChargeRecord, DisputeRecord, RefundRecord } from './more-records.ts'
import { operation } from './operation.ts'
import { createdWithin, newestFirst, pageOf } from './pagination.ts'
import { createdFilter, expand, integer, mergeMetadata, metadata, page, text } from './params.ts'
import type { World } from './world.ts'

type Charged = Pick<ChargeRecord, 'customer' | 'invoice' | 'amount' | 'currency' | 'paymentMethod'>

/** Money that came. */
export function newCharge(world: World, charged: Charged): ChargeRecord {
  const paymentIntent = world.newId('pi')
  const charge: ChargeRecord = {
    ...world.base('ch'),
    metadata: {},
    paymentIntent,
    refunded: 0,
    disputed: false,
    ...charged,
  }
  world.state.charges[charge.id] = charge
  return charge
}

function chargeNamed(world: World, id: string): ChargeRecord {
  const charge = world.state.charges[id]
  if (!charge) throw missing('charge', id, 'charge')
  return charge
}

/** @throws StripeApiError where more is to be given back than was paid. */
export function refund(world: World, charge: ChargeRecord, amount: number, reason: string | null): RefundRecord {
  if (amount < 1 || amount > charge.amount - charge.refunded) {
    throw invalid(`Refund amount (${amount}) is greater than unrefunded amount on charge.`, 'charge_already_refunded')
  }
  charge.refunded += amount
  const record: RefundRecord = { ...world.base('re'), metadata: {}, charge: charge.id, amount, reason }
  world.state.refunds[record.id] = record
  world.emit('charge.refunded', renderCharge(world, charge))
  return record
}

/** The cardholder's bank takes the money back; nobody asked us. */
export function openDispute(world: World, chargeId: string, reason = 'fraudulent'): DisputeRecord {
  const charge = chargeNamed(world, chargeId)
  charge.disputed = true
  const marks = { metadata: {}, charge: charge.id, amount: charge.amount, status: 'needs_response' as const, reason }
  const dispute: DisputeRecord = { ...world.base('du'), ...marks }
  world.state.disputes[dispute.id] = dispute
  world.emit('charge.dispute.created', renderDispute(world, dispute))
  return dispute
}

export function closeDispute(world: World, id: string, status: 'won' | 'lost'): DisputeRecord {
  const dispute = disputeNamed(world, id)
  dispute.status = status
  world.emit('charge.dispute.closed', renderDispute(world, dispute))
  return dispute
}

function disputeNamed(world: World, id: string): DisputeRecord {
  const dispute = world.state.disputes[id]
  if (!dispute) throw missing('dispute', id)
  return dispute
}

const only = z.strictObject({ expand: expand.optional() })
const refundParams = z.strictObject({
  amount: integer.optional(),
  charge: text.optional(),
  payment_intent: text.optional(),
  reason: z.enum(['duplicate', 'fraudulent', 'requested_by_customer']).optional(),
  metadata: metadata.optional(),
  expand: expand.optional(),
})
const byCharge = z.strictObject({
  ...page,
  ...createdFilter,
  charge: text.optional(),
  payment_intent: text.optional(),
})

function createRefund(world: World, params: z.infer<typeof refundParams>): object {
  const charge = params.charge
    ? chargeNamed(world, params.charge)
    : Object.values(world.state.charges).find((one) => one.paymentIntent === params.payment_intent)
  if (!charge) throw missing('payment_intent', params.payment_intent ?? '', 'payment_intent')
  const record = refund(world, charge, params.amount ?? charge.amount - charge.refunded, params.reason ?? null)
  record.metadata = mergeMetadata({}, params.metadata)
  return renderRefund(world, record)
}

const chargesOf = (world: World, params: { charge?: string; payment_intent?: string }) => (id: string) =>
  (!params.charge || id === params.charge) &&
  (!params.payment_intent || world.state.charges[id]?.paymentIntent === params.payment_intent)

const paymentParams = z.strictObject({
  ...page,
  invoice: text.optional(),
  payment: z
    .strictObject({ type: z.enum(['payment_intent', 'payment_record']), payment_intent: text.optional() })
    .optional(),
  status: z.enum(['canceled', 'open', 'paid']).optional(),
})

export const chargeOperations = [
  operation('charges.retrieve', 'GET /v1/charges/{id}', only, (world, _params, id) =>
    renderCharge(world, chargeNamed(world, id)),
  ),
  operation(
    'charges.list',
    'GET /v1/charges',
    z.strictObject({ ...page, ...createdFilter, customer: text.optional(), payment_intent: text.optional() }),
    (world, params) => {
      const all = newestFirst(world.state.charges).filter(
        (charge) =>
          (!params.customer || charge.customer === params.customer) &&
          (!params.payment_intent || charge.paymentIntent === params.payment_intent) &&
          createdWithin(charge.created, params.created),
      )
      const list = pageOf(all, params, '/v1/charges')
      return { ...list, data: list.data.map((charge) => renderCharge(world, charge)) }
    },
  ),
  operation('refunds.create', 'POST /v1/refunds', refundParams, createRefund),
  operation('refunds.retrieve', 'GET /v1/refunds/{id}', only, (world, _params, id) => {
    const record = world.state.refunds[id]
    if (!record) throw missing('refund', id)
    return renderRefund(world, record)
  }),
  operation('refunds.list', 'GET /v1/refunds', byCharge, (world, params) => {
    const wanted = chargesOf(world, params)
    const list = pageOf(
      newestFirst(world.state.refunds).filter((one) => wanted(one.charge)),
      params,
      '/v1/refunds',
    )
    return { ...list, data: list.data.map((record) => renderRefund(world, record)) }
  }),
  operation('disputes.retrieve', 'GET /v1/disputes/{id}', only, (world, _params, id) =>
    renderDispute(world, disputeNamed(world, id)),
  ),
  operation('disputes.list', 'GET /v1/disputes', byCharge, (world, params) => {
    const wanted = chargesOf(world, params)
    const list = pageOf(
      newestFirst(world.state.disputes).filter((one) => wanted(one.charge)),
      params,
      '/v1/disputes',
    )
    return { ...list, data: list.data.map((dispute) => renderDispute(world, dispute)) }
  }),
  operation('invoicePayments.list', 'GET /v1/invoice_payments', paymentParams, (world, params) => {
    const all = newestFirst(world.state.charges).filter(
      (charge) =>
        charge.invoice !== null &&
        (!params.invoice || charge.invoice === params.invoice) &&
        (!params.payment?.payment_intent || charge.paymentIntent === params.payment.payment_intent),
    )
    return pageOf(all.map(renderInvoicePayment), params, '/v1/invoice_payments')
  }),
]
