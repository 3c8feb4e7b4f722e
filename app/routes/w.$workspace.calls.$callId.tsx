import { useLoaderData } from '@remix-run/react'
import { getCall } from '#app/domain/analytics/queries.server.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'
import { ReceiptPage } from '#app/ui/call/receipt-page.tsx'
import { type ReceiptView, toReceiptView } from '#app/ui/call/receipt-view.ts'
import { titleOfView } from '#app/ui/page-title.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta = titleOfView('Call')

export const loader = workspaceLoader('read:InferenceCall', async ({ ctx, workspace }, { params }) =>
  toReceiptView(`/w/${workspace.slug}`, await getCall(ctx, params.callId ?? ''), await loadCatalogue()),
)

export default function Call() {
  return <ReceiptPage view={useLoaderData<ReceiptView>()} />
}
