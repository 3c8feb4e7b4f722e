import type { MetaFunction } from '@remix-run/node'
import { useLoaderData } from '@remix-run/react'
import { parseCallFilter, parsePageRequest } from '#app/domain/analytics/analytics.ts'
import { listCalls, readUsage } from '#app/domain/analytics/queries.server.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'
import { AnalyticsPage } from '#app/ui/analytics/analytics-page.tsx'
import { type AnalyticsView, toAnalyticsView } from '#app/ui/analytics/analytics-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'LLM analytics · Keymargin' }]

export const loader = workspaceLoader('read:InferenceCall', async ({ ctx, workspace }, { request }) => {
  const params = new URL(request.url).searchParams
  const filter = parseCallFilter(params, ctx.now())
  const asked = parsePageRequest(params)
  const [usage, page, catalogue] = await Promise.all([
    readUsage(ctx, filter),
    listCalls(ctx, filter, asked),
    loadCatalogue(),
  ])
  return toAnalyticsView({
    root: `/w/${workspace.slug}`,
    filter,
    usage,
    page,
    catalogue,
    isFirst: asked.after === null,
  })
})

export default function Analytics() {
  return <AnalyticsPage view={useLoaderData<AnalyticsView>()} />
}
