/** What the product does not ask of invoices, but people in the Dashboard and other integrations do: lines in batches, previews, sending. */
import { z } from 'zod'
import { priceNamed } from './catalogue.ts'
import { invalid, missing } from './errors.ts'
import { invoiceNamed, newInvoice, requireDraft, requireStatus } from './invoice-lifecycle.ts'
import { itemsOf, renderInvoice } from './invoice-object.ts'
import { MAX_ITEMS } from './invoices.ts'
import { operation } from './operation.ts'
import { clearable, expand, integer, mergeMetadata, metadata, text } from './params.ts'
import type { InvoiceItemRecord, InvoiceRecord } from './records.ts'
import { requireTaxable } from './tax.ts'
import type { World } from './world.ts'

/** No `currency`, `tax_behavior` or `tax_code` of its own: an invoice item has all three, a line none (stripe §2.2). */
const line = z.strictObject({
  amount: integer,
  description: clearable.optional(),
  metadata: metadata.optional(),
  period: z.strictObject({ start: integer, end: integer }).optional(),
})
const addParams = z.strictObject({ lines: z.array(line).min(1), expand: expand.optional() })

type Line = Pick<InvoiceItemRecord, 'amount' | 'description' | 'metadata' | 'period' | 'subscriptionItem'>

function addItem(world: World, invoice: InvoiceRecord, added: Line): void {
  const { id, customer, currency } = invoice
  const marks = { customer, invoice: id, currency, lineId: world.newId('il') }
  const item: InvoiceItemRecord = { ...world.base('ii'), ...marks, ...added }
  world.state.invoiceItems[item.id] = item
}

function addLines(world: World, params: z.infer<typeof addParams>, id: string): object {
  const invoice = invoiceNamed(world, id, 'id')
  requireDraft(invoice)
  if (itemsOf(world, id).length + params.lines.length > MAX_ITEMS)
    throw invalid(`The invoice would have more than ${MAX_ITEMS} items.`, 'invoice_too_many_items')
  for (const one of params.lines) {
    if (invoice.automaticTax) requireTaxable(one.amount, undefined)
    const period = one.period ?? { start: invoice.created, end: invoice.created }
    const words = { description: one.description ?? null, metadata: mergeMetadata({}, one.metadata) }
    addItem(world, invoice, { amount: one.amount, period, subscriptionItem: null, ...words })
  }
  world.emit('invoice.updated', renderInvoice(world, invoice))
  return renderInvoice(world, invoice)
}

const previewParams = z.strictObject({
  customer: text.optional(),
  subscription: text,
  expand: expand.optional(),
})

/** The next cycle's invoice as it would be, and nothing of it kept. */
function createPreview(world: World, params: z.infer<typeof previewParams>): object {
  const subscription = world.state.subscriptions[params.subscription]
  if (!subscription || subscription.endedAt) throw missing('subscription', params.subscription, 'subscription')
  const invoice = newInvoice(world, subscription.customer, subscription.currency)
  invoice.subscription = subscription.id
  invoice.billingReason = 'subscription_cycle'
  for (const { id, price, quantity } of subscription.items) {
    const { unitAmount } = priceNamed(world, price)
    const period = { start: subscription.periodEnd, end: subscription.periodEnd }
    const words = { description: null, metadata: {} }
    addItem(world, invoice, { amount: unitAmount * quantity, period, subscriptionItem: id, ...words })
  }
  const shown = renderInvoice(world, invoice)
  for (const item of itemsOf(world, invoice.id)) delete world.state.invoiceItems[item.id]
  delete world.state.invoices[invoice.id]
  return shown
}

export const invoiceExtraOperations = [
  operation('invoices.addLines', 'POST /v1/invoices/{id}/add_lines', addParams, addLines),
  operation('invoices.createPreview', 'POST /v1/invoices/create_preview', previewParams, createPreview),
  operation(
    'invoices.sendInvoice',
    'POST /v1/invoices/{id}/send',
    z.strictObject({ expand: expand.optional() }),
    (world, _params, id) => {
      const invoice = invoiceNamed(world, id, 'id')
      if (invoice.collectionMethod !== 'send_invoice')
        throw invalid('You can only send an invoice whose collection_method is send_invoice.')
      requireStatus(invoice, ['open', 'paid'], 'send')
      world.emit('invoice.sent', renderInvoice(world, invoice))
      return renderInvoice(world, invoice)
    },
  ),
]
