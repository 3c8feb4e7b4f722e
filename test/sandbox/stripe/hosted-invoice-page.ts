import { missing } from './errors.ts'
import { itemsOf, taxOf, totalOf } from './invoice-object.ts'
import { escapeHtml, hostedPage, money } from './page-frame.ts'
import type { World } from './world.ts'

/** What `hosted_invoice_url` opens: the invoice as a customer would see it. */
export function hostedInvoicePage(world: World, id: string): string {
  const invoice = world.state.invoices[id]
  if (!invoice || invoice.deleted || !invoice.finalizedAt) throw missing('invoice', id)
  const customer = world.state.customers[invoice.customer]
  const tax = taxOf(world, invoice)
  const rows = itemsOf(world, id).map(
    (item) =>
      `<tr><td>${escapeHtml(item.description ?? '')}</td><td class="n">${money(item.amount, invoice.currency)}</td></tr>`,
  )
  return hostedPage(
    `Invoice ${invoice.number ?? ''}`,
    `<p>${escapeHtml(customer?.name ?? '')} · ${new Date(invoice.created * 1000).toISOString().slice(0, 10)} · <strong>${invoice.status}</strong></p>
<p>${escapeHtml(invoice.description ?? '')}</p>
<table><thead><tr><th>Description</th><th class="n">Amount</th></tr></thead><tbody>${rows.join('')}</tbody>
<tfoot>${tax ? `<tr><td>Tax</td><td class="n">${money(tax, invoice.currency)}</td></tr>` : ''}<tr><th>Total</th><th class="n">${money(totalOf(world, id), invoice.currency)}</th></tr></tfoot></table>
<p>${escapeHtml(invoice.footer ?? '')}</p>`,
  )
}
