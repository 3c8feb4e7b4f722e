import { missing } from './errors.ts'
import { itemsOf, totalOf } from './invoice-object.ts'
import type { World } from './world.ts'

/** What `hosted_invoice_url` opens: the invoice as a customer would see it. */
export function hostedInvoicePage(world: World, id: string): string {
  const invoice = world.state.invoices[id]
  if (!invoice || invoice.deleted || !invoice.finalizedAt) throw missing('invoice', id)
  const customer = world.state.customers[invoice.customer]
  const rows = itemsOf(world, id).map(
    (item) =>
      `<tr><td>${escapeHtml(item.description ?? '')}</td><td class="n">${money(item.amount, invoice.currency)}</td></tr>`,
  )
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Invoice ${escapeHtml(invoice.number ?? '')}</title>
<style>body{font:16px/1.5 system-ui;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#1a1f36}table{width:100%;border-collapse:collapse}
td,th{padding:.5rem 0;border-bottom:1px solid #e3e8ee;text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}
.tag{background:#e3e8ee;border-radius:4px;padding:.1rem .5rem}</style>
<p class="tag">Sandbox: no money moves here</p><h1>Invoice ${escapeHtml(invoice.number ?? '')}</h1>
<p>${escapeHtml(customer?.name ?? '')} · ${new Date(invoice.created * 1000).toISOString().slice(0, 10)} · <strong>${invoice.status}</strong></p>
<p>${escapeHtml(invoice.description ?? '')}</p>
<table><thead><tr><th>Description</th><th class="n">Amount</th></tr></thead><tbody>${rows.join('')}</tbody>
<tfoot><tr><th>Total</th><th class="n">${money(totalOf(world, id), invoice.currency)}</th></tr></tfoot></table>
<p>${escapeHtml(invoice.footer ?? '')}</p></html>`
}

function money(minor: number, currency: string): string {
  const digits = currency === 'jpy' ? 0 : 2
  const text = String(Math.abs(minor)).padStart(digits + 1, '0')
  const split = text.length - digits
  const amount = digits ? `${text.slice(0, split)}.${text.slice(split)}` : text
  return `${minor < 0 ? '−' : ''}${amount} ${currency.toUpperCase()}`
}

function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character)
}
