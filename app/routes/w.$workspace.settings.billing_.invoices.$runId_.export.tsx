import { z } from 'zod'
import { exportInvoiceCsv, exportInvoiceJson } from '#app/domain/billing/export-invoice.server.ts'
import { csvDownload, download } from '#app/http/csv-download.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'

const search = z.object({
  what: z.enum(['lines', 'calls']).default('lines'),
  format: z.enum(['csv', 'json']).default('csv'),
})

/** A file, no page: an invoice's lines, or every call behind them. */
export const loader = workspaceLoader('read:Invoice', async ({ ctx, workspace }, { request, params }) => {
  const { what, format } = search.parse(Object.fromEntries(new URL(request.url).searchParams))
  const runId = params.runId ?? ''
  const name = `keymargin-${workspace.slug}-${runId.slice(0, 8)}-${what}.${format}`
  return format === 'csv'
    ? csvDownload(exportInvoiceCsv(ctx, runId, what), name)
    : download(exportInvoiceJson(ctx, runId, what), name, 'application/json; charset=utf-8')
})
