import type { ChargeRecord, DisputeRecord, RefundRecord } from './more-records.ts'
import type { World } from './world.ts'

export function renderCharge(world: World, charge: ChargeRecord): object {
  const customer = world.state.customers[charge.customer]
  return {
    ...CHARGE,
    id: charge.id,
    amount: charge.amount,
    amount_captured: charge.amount,
    amount_refunded: charge.refunded,
    billing_details: {
      address: null,
      email: customer?.email ?? null,
      name: customer?.name ?? null,
      phone: null,
      tax_id: null,
    },
    created: charge.created,
    currency: charge.currency,
    customer: charge.customer,
    disputed: charge.disputed,
    metadata: charge.metadata,
    payment_intent: charge.paymentIntent,
    payment_method: charge.paymentMethod,
    refunded: charge.refunded === charge.amount,
  }
}

const CHARGE = {
  object: 'charge',
  application: null,
  application_fee: null,
  application_fee_amount: null,
  balance_transaction: null,
  calculated_statement_descriptor: null,
  captured: true,
  description: null,
  failure_balance_transaction: null,
  failure_code: null,
  failure_message: null,
  fraud_details: null,
  livemode: false,
  on_behalf_of: null,
  outcome: null,
  paid: true,
  payment_method_details: null,
  receipt_email: null,
  receipt_number: null,
  receipt_url: null,
  review: null,
  shipping: null,
  source: null,
  source_transfer: null,
  statement_descriptor: null,
  statement_descriptor_suffix: null,
  status: 'succeeded',
  transfer_data: null,
  transfer_group: null,
}

export function renderRefund(world: World, refund: RefundRecord): object {
  const charge = world.state.charges[refund.charge]
  return {
    id: refund.id,
    object: 'refund',
    amount: refund.amount,
    balance_transaction: null,
    charge: refund.charge,
    created: refund.created,
    currency: charge?.currency ?? 'usd',
    customer: charge?.customer ?? null,
    customer_account: null,
    metadata: refund.metadata,
    payment_intent: charge?.paymentIntent ?? null,
    payment_method: charge?.paymentMethod ?? null,
    reason: refund.reason,
    receipt_number: null,
    source_transfer_reversal: null,
    status: 'succeeded',
    transfer_reversal: null,
  }
}

const EVIDENCE_FIELDS = [
  'access_activity_log',
  'billing_address',
  'cancellation_policy',
  'cancellation_policy_disclosure',
  'cancellation_rebuttal',
  'customer_communication',
  'customer_email_address',
  'customer_name',
  'customer_purchase_ip',
  'customer_signature',
  'duplicate_charge_documentation',
  'duplicate_charge_explanation',
  'duplicate_charge_id',
  'product_description',
  'receipt',
  'refund_policy',
  'refund_policy_disclosure',
  'refund_refusal_explanation',
  'service_date',
  'service_documentation',
  'shipping_address',
  'shipping_carrier',
  'shipping_date',
  'shipping_documentation',
  'shipping_tracking_number',
  'uncategorized_file',
  'uncategorized_text',
]

export function renderDispute(world: World, dispute: DisputeRecord): object {
  const charge = world.state.charges[dispute.charge]
  return {
    id: dispute.id,
    object: 'dispute',
    amount: dispute.amount,
    balance_transactions: [],
    charge: dispute.charge,
    created: dispute.created,
    currency: charge?.currency ?? 'usd',
    enhanced_eligibility_types: [],
    evidence: { ...Object.fromEntries(EVIDENCE_FIELDS.map((field) => [field, null])), enhanced_evidence: {} },
    evidence_details: {
      due_by: dispute.created + 7 * 86_400,
      enhanced_eligibility: {},
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: 'not_submitted',
    },
    intended_submission_method: null,
    is_charge_refundable: false,
    livemode: false,
    metadata: dispute.metadata,
    payment_intent: charge?.paymentIntent ?? null,
    reason: dispute.reason,
    status: dispute.status,
  }
}

/** How an invoice and the charge that paid it find each other since they no longer name each other (stripe §2.9 basil). */
export function renderInvoicePayment(charge: ChargeRecord) {
  return {
    id: charge.id.replace('ch_', 'inpay_'),
    object: 'invoice_payment',
    amount_paid: charge.amount,
    amount_requested: charge.amount,
    created: charge.created,
    currency: charge.currency,
    invoice: charge.invoice,
    is_default: true,
    livemode: false,
    payment: { type: 'payment_intent', payment_intent: charge.paymentIntent },
    status: 'paid',
    status_transitions: { canceled_at: null, paid_at: charge.created },
  }
}
