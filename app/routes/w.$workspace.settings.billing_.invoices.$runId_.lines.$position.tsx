import { useLoaderData } from '@remix-run/react'
import { explainLine } from '#app/domain/billing/explain-line.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'
import { LinePage } from '#app/ui/billing/line-page.tsx'
import { type LineView, toLineView } from '#app/ui/billing/line-view.ts'
import { titleOfView } from '#app/ui/page-title.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta = titleOfView('Invoice line')

export const loader = workspaceLoader('read:Invoice', async ({ ctx, workspace }, { params, request }) => {
  const after = new URL(request.url).searchParams.get('after')
  return toLineView(`/w/${workspace.slug}`, await explainLine(ctx, params.runId ?? '', Number(params.position), after))
})

export default function Line() {
  return <LinePage view={useLoaderData<LineView>()} />
}
