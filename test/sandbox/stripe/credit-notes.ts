/** Credit notes: they lessen an open debt first, and of what was paid they say exactly where the money goes (stripe §3). */
import { z } from 'zod'
import { refund } from './charges.ts'
import { changeBalance } from './customer-balance.ts'
import { invalid, missing } from './errors.ts'
import { invoiceNamed } from './invoice-lifecycle.ts'
import { amountDue, creditedOf, renderInvoice, totalOf } from './invoice-object.ts'
import type { CreditNoteRecord } from './more-records.ts'
import { operation } from './operation.ts'
import { createdWithin, newestFirst, pageOf } from './pagination.ts'
import { clearable, createdFilter, expand, integer, mergeMetadata, metadata, page, text } from './params.ts'
import type { InvoiceRecord } from './records.ts'
import type { World } from './world.ts'

const createParams = z.strictObject({
  invoice: text,
  amount: integer.optional(),
  credit_amount: integer.optional(),
  refund_amount: integer.optional(),
  out_of_band_amount: integer.optional(),
  memo: clearable.optional(),
  reason: z.enum(['duplicate', 'fraudulent', 'order_change', 'product_unsatisfactory']).optional(),
  metadata: metadata.optional(),
  expand: expand.optional(),
})
type CreateParams = z.infer<typeof createParams>

/** @throws StripeApiError where the parts do not add up to what was paid of the credited amount. */
function draftOf(world: World, params: CreateParams): CreditNoteRecord {
  const invoice = invoiceNamed(world, params.invoice)
  if (invoice.status !== 'open' && invoice.status !== 'paid')
    throw invalid(`You can only credit an invoice that is open or paid. This one is ${invoice.status}.`)
  const credited = creditedOf(world, invoice.id)
  const left = totalOf(world, invoice.id) - credited.prePayment - credited.postPayment
  const parts = [params.refund_amount, params.credit_amount, params.out_of_band_amount].map((part) => part ?? 0)
  const postPayment = parts.reduce((sum, part) => sum + part, 0)
  const amount = params.amount ?? left
  if (amount < 1 || amount > left)
    throw invalid('The credit note is larger than what is left of the invoice.', undefined, 'amount')
  const unpaid =
    invoice.status === 'open' ? Math.max(0, amountDue(world, invoice) - invoice.amountPaid - credited.prePayment) : 0
  const prePayment = Math.min(amount, unpaid)
  if (postPayment !== amount - prePayment)
    throw invalid(
      `The sum of credit_amount, refund_amount and out_of_band_amount must be ${amount - prePayment}: what was paid of the credited amount.`,
    )
  const [refundAmount = 0, creditAmount = 0, outOfBandAmount = 0] = parts
  const numbered = Object.values(world.state.creditNotes).filter((note) => note.invoice === invoice.id).length + 1
  return {
    ...world.base('cn'),
    metadata: mergeMetadata({}, params.metadata),
    invoice: invoice.id,
    customer: invoice.customer,
    number: `${invoice.number}-CN-${String(numbered).padStart(2, '0')}`,
    amount,
    memo: params.memo ?? null,
    reason: params.reason ?? null,
    status: 'issued',
    prePayment,
    refundAmount,
    creditAmount,
    outOfBandAmount,
    refund: null,
    balanceTransaction: null,
    lineDescription: `Credit of invoice ${invoice.number}`,
    voidedAt: null,
  }
}

function create(world: World, params: CreateParams): object {
  const note = draftOf(world, params)
  const invoice = invoiceNamed(world, note.invoice)
  const customer = world.state.customers[note.customer]
  if (note.refundAmount > 0) {
    const charge = Object.values(world.state.charges).find((one) => one.invoice === invoice.id)
    if (!charge) throw invalid('The invoice was not paid by a charge that could be refunded.')
    note.refund = refund(world, charge, note.refundAmount, null).id
  }
  if (note.creditAmount > 0 && customer) {
    const change = { amount: -note.creditAmount, type: 'credit_note' as const, creditNote: note.id }
    note.balanceTransaction = changeBalance(world, customer, change).id
  }
  world.state.creditNotes[note.id] = note
  world.emit('credit_note.created', renderNote(world, note))
  settleIfCovered(world, invoice)
  return renderNote(world, note)
}

/** Nothing is left to be paid: the invoice counts as paid. */
function settleIfCovered(world: World, invoice: InvoiceRecord): void {
  if (invoice.status !== 'open') return
  if (amountDue(world, invoice) - creditedOf(world, invoice.id).prePayment > 0) return
  Object.assign(invoice, { status: 'paid', paidAt: world.seconds(), nextPaymentAttempt: null })
  world.emit('invoice.paid', renderInvoice(world, invoice))
}

function noteNamed(world: World, id: string): CreditNoteRecord {
  const note = world.state.creditNotes[id]
  if (!note) throw missing('credit_note', id)
  return note
}

function voidNote(world: World, _params: unknown, id: string): object {
  const note = noteNamed(world, id)
  const invoice = invoiceNamed(world, note.invoice)
  if (note.status !== 'issued' || invoice.status !== 'open' || note.prePayment !== note.amount)
    throw invalid('You can only void a credit note of an open invoice.')
  Object.assign(note, { status: 'void', voidedAt: world.seconds() })
  world.emit('credit_note.voided', renderNote(world, note))
  return renderNote(world, note)
}

function renderNote(world: World, note: CreditNoteRecord): object {
  const postPayment = note.amount - note.prePayment
  const type = note.prePayment === 0 ? 'post_payment' : postPayment === 0 ? 'pre_payment' : 'mixed'
  const refunds = note.refund
    ? [{ amount_refunded: note.refundAmount, payment_record_refund: null, refund: note.refund, type: 'refund' }]
    : []
  return {
    id: note.id,
    object: 'credit_note',
    amount: note.amount,
    amount_shipping: 0,
    created: note.created,
    currency: world.state.invoices[note.invoice]?.currency ?? 'usd',
    customer: note.customer,
    customer_account: null,
    customer_balance_transaction: note.balanceTransaction,
    discount_amount: 0,
    discount_amounts: [],
    effective_at: note.created,
    invoice: note.invoice,
    lines: { object: 'list', data: [lineOf(note)], has_more: false, url: `/v1/credit_notes/${note.id}/lines` },
    livemode: false,
    memo: note.memo,
    metadata: note.metadata,
    number: note.number,
    out_of_band_amount: note.outOfBandAmount || null,
    pdf: `${world.baseUrl}/_sandbox/credit_notes/${note.id}`,
    post_payment_amount: postPayment,
    pre_payment_amount: note.prePayment,
    pretax_credit_amounts: [],
    reason: note.reason,
    refunds,
    shipping_cost: null,
    status: note.status,
    subtotal: note.amount,
    subtotal_excluding_tax: note.amount,
    total: note.amount,
    total_excluding_tax: note.amount,
    total_taxes: [],
    type,
    voided_at: note.voidedAt,
  }
}

const lineOf = (note: CreditNoteRecord) => ({
  id: `cnli_${note.id}`,
  object: 'credit_note_line_item',
  amount: note.amount,
  description: note.lineDescription,
  discount_amount: 0,
  discount_amounts: [],
  livemode: false,
  metadata: {},
  pretax_credit_amounts: [],
  quantity: 1,
  tax_rates: [],
  taxes: [],
  type: 'custom_line_item',
  unit_amount: note.amount,
  unit_amount_decimal: String(note.amount),
})

const listParams = z.strictObject({
  ...page,
  ...createdFilter,
  customer: text.optional(),
  invoice: text.optional(),
})
const updateParams = z.strictObject({
  memo: clearable.optional(),
  metadata: metadata.optional(),
  expand: expand.optional(),
})

export const creditNoteOperations = [
  operation('creditNotes.create', 'POST /v1/credit_notes', createParams, create),
  operation('creditNotes.preview', 'GET /v1/credit_notes/preview', createParams, (world, params) =>
    renderNote(world, draftOf(world, params)),
  ),
  operation('creditNotes.voidCreditNote', 'POST /v1/credit_notes/{id}/void', z.strictObject({}), voidNote),
  operation('creditNotes.update', 'POST /v1/credit_notes/{id}', updateParams, (world, params, id) => {
    const note = noteNamed(world, id)
    if (params.memo !== undefined) note.memo = params.memo
    note.metadata = mergeMetadata(note.metadata, params.metadata)
    world.emit('credit_note.updated', renderNote(world, note))
    return renderNote(world, note)
  }),
  operation(
    'creditNotes.retrieve',
    'GET /v1/credit_notes/{id}',
    z.strictObject({ expand: expand.optional() }),
    (world, _params, id) => renderNote(world, noteNamed(world, id)),
  ),
  operation('creditNotes.list', 'GET /v1/credit_notes', listParams, (world, params) => {
    const all = newestFirst(world.state.creditNotes).filter(
      (note) =>
        (!params.customer || note.customer === params.customer) &&
        (!params.invoice || note.invoice === params.invoice) &&
        createdWithin(note.created, params.created),
    )
    const list = pageOf(all, params, '/v1/credit_notes')
    return { ...list, data: list.data.map((note) => renderNote(world, note)) }
  }),
]
