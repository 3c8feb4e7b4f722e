import type { MetaFunction } from '@remix-run/node'
import { useLoaderData } from '@remix-run/react'
import { parseCallFilter, parsePageRequest } from '#app/domain/analytics/analytics.ts'
import { readMeteredUsage } from '#app/domain/analytics/metered-usage.server.ts'
import { listCalls, readUsage } from '#app/domain/analytics/queries.server.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'
import { AnalyticsPage } from '#app/ui/analytics/analytics-page.tsx'
import { type AnalyticsView, toAnalyticsView } from '#app/ui/analytics/analytics-view.ts'
import { type MeteredView, toMeteredView } from '#app/ui/analytics/metered-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'LLM analytics · Keymargin' }]

export const loader = workspaceLoader('read:InferenceCall', async ({ ctx, workspace }, { request }) => {
  const params = new URL(request.url).searchParams
  const filter = parseCallFilter(params, ctx.now())
  const asked = parsePageRequest(params)
  const [usage, page, catalogue, metered] = await Promise.all([
    readUsage(ctx, filter),
    listCalls(ctx, filter, asked),
    loadCatalogue(),
    readMeteredUsage(ctx, filter),
  ])
  const view = toAnalyticsView({
    root: `/w/${workspace.slug}`,
    filter,
    usage,
    page,
    catalogue,
    isFirst: asked.after === null,
    currency: workspace.currency,
  })
  return { ...view, metered: toMeteredView(metered, workspace.currency) }
})

export default function Analytics() {
  const { metered, ...view } = useLoaderData<AnalyticsView & { metered: MeteredView }>()
  return <AnalyticsPage view={view} metered={metered} />
}
