import { z } from 'zod'
import { livingCustomer } from './customers.ts'
import { invalid, missing } from './errors.ts'
import {
  collectAutomatically,
  finalizeInvoice,
  invoiceNamed,
  newInvoice,
  payNow,
  requireDraft,
  requireStatus,
} from './invoice-lifecycle.ts'
import { itemsOf, linesPage, renderInvoice } from './invoice-object.ts'
import { operation, previousAttributes } from './operation.ts'
import { createdWithin, newestFirst, pageOf } from './pagination.ts'
import { boolean, clearable, createdFilter, expand, integer, mergeMetadata, metadata, page, text } from './params.ts'
import type { InvoiceRecord } from './records.ts'
import type { World } from './world.ts'

export const MAX_ITEMS = 250
const STATUSES = ['draft', 'open', 'paid', 'uncollectible', 'void'] as const
const shared = {
  auto_advance: boolean.optional(),
  automatic_tax: z.strictObject({ enabled: boolean }).optional(),
  collection_method: z.enum(['charge_automatically', 'send_invoice']).optional(),
  days_until_due: integer.optional(),
  description: clearable.optional(),
  expand: expand.optional(),
  footer: clearable.optional(),
  metadata: metadata.optional(),
}
const createParams = z.strictObject({
  ...shared,
  customer: text,
  currency: text.optional(),
  pending_invoice_items_behavior: z.enum(['exclude', 'include']).optional(),
  subscription: text.optional(),
})
const updateParams = z.strictObject(shared)
const only = z.strictObject({ expand: expand.optional() })
const finalizeParams = z.strictObject({ auto_advance: boolean.optional(), expand: expand.optional() })
const payParams = z.strictObject({ paid_out_of_band: boolean.optional(), expand: expand.optional() })
const listParams = z.strictObject({
  ...page,
  ...createdFilter,
  customer: text.optional(),
  subscription: text.optional(),
  status: z.enum(STATUSES).optional(),
  collection_method: shared.collection_method,
})

function apply(invoice: InvoiceRecord, params: z.infer<typeof updateParams>): void {
  if (params.auto_advance !== undefined) invoice.autoAdvance = params.auto_advance
  if (params.automatic_tax) invoice.automaticTax = params.automatic_tax.enabled
  if (params.collection_method) invoice.collectionMethod = params.collection_method
  if (params.days_until_due !== undefined) invoice.daysUntilDue = params.days_until_due
  if (params.description !== undefined) invoice.description = params.description
  if (params.footer !== undefined) invoice.footer = params.footer
  invoice.metadata = mergeMetadata(invoice.metadata, params.metadata)
}

function create(world: World, params: z.infer<typeof createParams>): object {
  if (params.subscription && params.pending_invoice_items_behavior) {
    throw invalid('You may only specify one of these parameters: subscription, pending_invoice_items_behavior.')
  }
  if (params.subscription) throw invalid('The sandbox creates no invoices for a subscription on request.')
  if (params.collection_method === 'send_invoice' && params.days_until_due === undefined) {
    throw invalid('If invoice collection_method is send_invoice, days_until_due or due_date must be given.')
  }
  const customer = livingCustomer(world, params.customer)
  const currency = (params.currency ?? customer.currency ?? 'usd').toLowerCase()
  const invoice = newInvoice(world, customer.id, currency)
  apply(invoice, params)
  if (params.pending_invoice_items_behavior === 'include') sweepPendingItems(world, invoice)
  customer.currency ??= currency
  world.emit('invoice.created', renderInvoice(world, invoice))
  return renderInvoice(world, invoice)
}

function sweepPendingItems(world: World, invoice: InvoiceRecord): void {
  for (const item of Object.values(world.state.invoiceItems)) {
    if (item.customer === invoice.customer && item.invoice === null && item.currency === invoice.currency) {
      item.invoice = invoice.id
    }
  }
}

function update(world: World, params: z.infer<typeof updateParams>, id: string): object {
  const invoice = invoiceNamed(world, id, 'id')
  const onlyMetadata = Object.keys(params).every(
    (key) => key === 'metadata' || key === 'expand' || key === 'auto_advance',
  )
  if (!onlyMetadata) requireDraft(invoice)
  const before = renderInvoice(world, invoice)
  apply(invoice, params)
  const after = renderInvoice(world, invoice)
  world.emit('invoice.updated', after, previousAttributes(before, after))
  return after
}

/** A deleted draft releases its items: they are pending again, and the next invoice that includes pending items takes them. */
function remove(world: World, _params: unknown, id: string): object {
  const invoice = invoiceNamed(world, id, 'id')
  if (invoice.status !== 'draft' || invoice.subscription) {
    throw invalid(
      'You can only delete draft invoices that are not of a subscription. Void it instead.',
      'invoice_not_editable',
    )
  }
  const before = renderInvoice(world, invoice)
  for (const item of itemsOf(world, id)) item.invoice = null
  invoice.deleted = true
  world.emit('invoice.deleted', before)
  return renderInvoice(world, invoice)
}

function finalize(world: World, params: z.infer<typeof finalizeParams>, id: string): object {
  const invoice = invoiceNamed(world, id, 'id')
  finalizeInvoice(world, invoice)
  if (params.auto_advance !== undefined) invoice.autoAdvance = params.auto_advance
  return renderInvoice(world, invoice)
}

function pay(world: World, params: z.infer<typeof payParams>, id: string): object {
  const invoice = invoiceNamed(world, id, 'id')
  payNow(world, invoice, params.paid_out_of_band ?? false)
  return renderInvoice(world, invoice)
}

function voidInvoice(world: World, _params: unknown, id: string): object {
  const invoice = invoiceNamed(world, id, 'id')
  requireStatus(invoice, ['open', 'uncollectible'], 'void')
  invoice.status = 'void'
  invoice.voidedAt = world.seconds()
  world.emit('invoice.voided', renderInvoice(world, invoice))
  return renderInvoice(world, invoice)
}

function markUncollectible(world: World, _params: unknown, id: string): object {
  const invoice = invoiceNamed(world, id, 'id')
  requireStatus(invoice, ['open'], 'mark uncollectible')
  invoice.status = 'uncollectible'
  invoice.uncollectibleAt = world.seconds()
  world.emit('invoice.marked_uncollectible', renderInvoice(world, invoice))
  return renderInvoice(world, invoice)
}

function list(world: World, params: z.infer<typeof listParams>): object {
  // A deleted one keeps its invoices; one that the account never had is an error, not an empty list.
  if (params.customer && !world.state.customers[params.customer]) throw missing('customer', params.customer, 'customer')
  const all = newestFirst(world.state.invoices).filter(
    (invoice) =>
      !invoice.deleted &&
      (!params.customer || invoice.customer === params.customer) &&
      (!params.subscription || invoice.subscription === params.subscription) &&
      (!params.status || invoice.status === params.status) &&
      (!params.collection_method || invoice.collectionMethod === params.collection_method) &&
      createdWithin(invoice.created, params.created),
  )
  const found = pageOf(all, params, '/v1/invoices')
  return { ...found, data: found.data.map((invoice) => renderInvoice(world, invoice)) }
}

export const invoiceOperations = [
  operation('invoices.create', 'POST /v1/invoices', createParams, create),
  operation('invoices.update', 'POST /v1/invoices/{id}', updateParams, update),
  operation('invoices.del', 'DELETE /v1/invoices/{id}', z.strictObject({}), remove),
  operation(
    'invoices.finalizeInvoice',
    'POST /v1/invoices/{id}/finalize',
    finalizeParams,
    finalize,
    collectAutomatically,
  ),
  operation('invoices.pay', 'POST /v1/invoices/{id}/pay', payParams, pay),
  operation('invoices.voidInvoice', 'POST /v1/invoices/{id}/void', only, voidInvoice),
  operation('invoices.markUncollectible', 'POST /v1/invoices/{id}/mark_uncollectible', only, markUncollectible),
  operation('invoices.retrieve', 'GET /v1/invoices/{id}', only, (world, _params, id) =>
    renderInvoice(world, invoiceNamed(world, id, 'id')),
  ),
  operation('invoices.list', 'GET /v1/invoices', listParams, list),
  operation('invoices.listLineItems', 'GET /v1/invoices/{id}/lines', z.strictObject(page), (world, params, id) =>
    linesPage(world, invoiceNamed(world, id, 'id').id, params),
  ),
]
