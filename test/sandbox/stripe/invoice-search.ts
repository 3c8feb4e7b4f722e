import { z } from 'zod'
import { invalid } from './errors.ts'
import { renderInvoice } from './invoice-object.ts'
import { operation } from './operation.ts'
import { newestFirst } from './pagination.ts'
import { expand, integer, text } from './params.ts'

const params = z.strictObject({
  query: text,
  limit: integer.optional(),
  page: text.optional(),
  expand: expand.optional(),
})

/**
 * The search, which lags on purpose: what was written within the last `searchLagSeconds` is not there yet, so nobody can
 * read their own writes through it (stripe §2.3). It knows `customer:"…"`, `status:"…"` and `metadata["…"]:"…"`, joined by AND.
 */
export const invoiceSearchOperations = [
  operation('invoices.search', 'GET /v1/invoices/search', params, (world, { query, limit = 10 }) => {
    const visible = world.seconds() - world.state.settings.searchLagSeconds
    const tests = query.split(/\s+AND\s+/).map((clause) => {
      const [, name, key, value] = /^(\w+)(?:\["([^"]+)"\])?\s*:\s*"([^"]*)"$/.exec(clause.trim()) ?? []
      if (!name || value === undefined) throw invalid(`We were unable to parse your search query: ${clause}`)
      return { name, key, value }
    })
    const found = newestFirst(world.state.invoices).filter(
      (invoice) =>
        !invoice.deleted &&
        invoice.created <= visible &&
        tests.every(({ name, key, value }) =>
          name === 'metadata'
            ? invoice.metadata[key ?? ''] === value
            : (invoice as unknown as Record<string, unknown>)[name] === value,
        ),
    )
    const data = found.slice(0, limit).map((invoice) => renderInvoice(world, invoice))
    return {
      object: 'search_result',
      data,
      has_more: found.length > limit,
      next_page: null,
      url: '/v1/invoices/search',
    }
  }),
]
