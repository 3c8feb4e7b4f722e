import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { getInvoice } from '#app/domain/billing/queries.server.ts'
import { verifyInvoice } from '#app/domain/billing/verify-invoice.server.ts'
import { intent, workspaceAction, workspaceLoader } from '#app/http/route.server.ts'
import type { Answer } from '#app/ui/answer-notice.tsx'
import { InvoicePage } from '#app/ui/billing/invoice-page.tsx'
import { type InvoiceView, toInvoiceView, toVerdict, type Verdict } from '#app/ui/billing/invoice-view.ts'
import { titleOfView } from '#app/ui/page-title.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta = titleOfView('Invoice')

export const loader = workspaceLoader('read:Invoice', async ({ ctx, workspace }, { params }) =>
  toInvoiceView(`/w/${workspace.slug}`, await getInvoice(ctx, params.runId ?? '')),
)

export const action = workspaceAction({
  verify: intent({
    demand: 'read:Invoice',
    schema: z.strictObject({}),
    run: async (ctx, _, { params }) => ({ verdict: toVerdict(await verifyInvoice(ctx, params.runId ?? '')) }),
  }),
})

export default function Invoice() {
  return <InvoicePage view={useLoaderData<InvoiceView>()} answer={useActionData<Answer<{ verdict: Verdict }>>()} />
}
