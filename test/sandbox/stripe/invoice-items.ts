import { z } from 'zod'
import { livingCustomer } from './customers.ts'
import { invalid, missing } from './errors.ts'
import { invoiceNamed, requireDraft } from './invoice-lifecycle.ts'
import { itemsOf, renderInvoiceItem } from './invoice-object.ts'
import { MAX_ITEMS } from './invoices.ts'
import { operation } from './operation.ts'
import { createdWithin, newestFirst, pageOf } from './pagination.ts'
import { boolean, clearable, createdFilter, expand, integer, mergeMetadata, metadata, page, text } from './params.ts'
import type { InvoiceItemRecord } from './records.ts'
import { requireTaxable } from './tax.ts'
import type { World } from './world.ts'

/** `end` is inclusive here (stripe §2.2). */
const period = z.strictObject({ start: integer, end: integer })
const shared = {
  description: clearable.optional(),
  discountable: boolean.optional(),
  expand: expand.optional(),
  metadata: metadata.optional(),
  period: period.optional(),
  tax_behavior: z.enum(['exclusive', 'inclusive', 'unspecified']).optional(),
  tax_code: text.optional(),
}
const createParams = z.strictObject({
  ...shared,
  customer: text,
  amount: integer,
  currency: text,
  invoice: text.optional(),
})
const updateParams = z.strictObject({ ...shared, amount: integer.optional() })
const listParams = z.strictObject({
  ...page,
  ...createdFilter,
  customer: text.optional(),
  invoice: text.optional(),
  pending: boolean.optional(),
})

function itemNamed(world: World, id: string): InvoiceItemRecord {
  const item = world.state.invoiceItems[id]
  if (!item || item.subscriptionItem) throw missing('invoiceitem', id)
  return item
}

function requireOpenForItems(world: World, item: InvoiceItemRecord): void {
  if (item.invoice) requireDraft(invoiceNamed(world, item.invoice))
}

function create(world: World, params: z.infer<typeof createParams>): object {
  const customer = livingCustomer(world, params.customer)
  const currency = params.currency.toLowerCase()
  if (params.period && params.period.end < params.period.start) {
    throw invalid('`period[end]` must not be before `period[start]`.', 'parameter_invalid', 'period')
  }
  if (params.invoice) {
    const invoice = invoiceNamed(world, params.invoice)
    requireDraft(invoice)
    if (invoice.customer !== customer.id)
      throw invalid('The invoice belongs to another customer.', undefined, 'invoice')
    if (invoice.currency !== currency) throw invalid(`This invoice is in ${invoice.currency}.`, undefined, 'currency')
    if (invoice.automaticTax) requireTaxable(params.amount, params.tax_behavior)
    if (itemsOf(world, invoice.id).length >= MAX_ITEMS) {
      throw invalid(`The invoice reached the maximum of ${MAX_ITEMS} items.`, 'invoice_too_many_items')
    }
  }
  const base = world.base('ii')
  const item: InvoiceItemRecord = {
    ...base,
    customer: customer.id,
    invoice: params.invoice ?? null,
    lineId: world.newId('il'),
    amount: params.amount,
    currency,
    description: params.description ?? null,
    metadata: mergeMetadata({}, params.metadata),
    period: params.period ?? { start: base.created, end: base.created },
    subscriptionItem: null,
    taxBehavior: params.tax_behavior,
  }
  world.state.invoiceItems[item.id] = item
  world.emit('invoiceitem.created', renderInvoiceItem(item))
  return renderInvoiceItem(item)
}

function update(world: World, params: z.infer<typeof updateParams>, id: string): object {
  const item = itemNamed(world, id)
  requireOpenForItems(world, item)
  if (params.amount !== undefined) item.amount = params.amount
  if (params.description !== undefined) item.description = params.description
  if (params.period) item.period = params.period
  item.metadata = mergeMetadata(item.metadata, params.metadata)
  return renderInvoiceItem(item)
}

function remove(world: World, _params: unknown, id: string): object {
  const item = itemNamed(world, id)
  requireOpenForItems(world, item)
  delete world.state.invoiceItems[id]
  world.emit('invoiceitem.deleted', renderInvoiceItem(item))
  return { id, object: 'invoiceitem', deleted: true }
}

export const invoiceItemOperations = [
  operation('invoiceItems.create', 'POST /v1/invoiceitems', createParams, create),
  operation('invoiceItems.update', 'POST /v1/invoiceitems/{id}', updateParams, update),
  operation('invoiceItems.del', 'DELETE /v1/invoiceitems/{id}', z.strictObject({}), remove),
  operation(
    'invoiceItems.retrieve',
    'GET /v1/invoiceitems/{id}',
    z.strictObject({ expand: expand.optional() }),
    (world, _params, id) => renderInvoiceItem(itemNamed(world, id)),
  ),
  operation('invoiceItems.list', 'GET /v1/invoiceitems', listParams, (world, params) => {
    const all = newestFirst(world.state.invoiceItems).filter(
      (item) =>
        !item.subscriptionItem &&
        (!params.customer || item.customer === params.customer) &&
        (!params.invoice || item.invoice === params.invoice) &&
        (params.pending === undefined || (item.invoice === null) === params.pending) &&
        createdWithin(item.created, params.created),
    )
    const list = pageOf(all, params, '/v1/invoiceitems')
    return { ...list, data: list.data.map(renderInvoiceItem) }
  }),
]
