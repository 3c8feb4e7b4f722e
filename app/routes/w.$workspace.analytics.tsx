import type { MetaFunction } from '@remix-run/node'
import { useLoaderData } from '@remix-run/react'
import { parseCallFilter, parsePageRequest } from '#app/domain/analytics/analytics.ts'
import { readMeteredUsage } from '#app/domain/analytics/metered-usage.server.ts'
import { listCalls, readUsage } from '#app/domain/analytics/queries.server.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { refusedPage } from '#app/http/respond.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'
import type { Doorstep } from '#app/http/session.server.ts'
import { AnalyticsPage, RefusedAnalytics } from '#app/ui/analytics/analytics-page.tsx'
import {
  type AnalyticsView,
  type RefusedView,
  toAnalyticsView,
  toRefusedView,
} from '#app/ui/analytics/analytics-view.ts'
import { type MeteredView, toMeteredView } from '#app/ui/analytics/metered-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'LLM analytics · Keymargin' }]

type View = (AnalyticsView & { metered: MeteredView }) | RefusedView

async function loadView({ ctx, workspace }: Doorstep, params: URLSearchParams): Promise<View> {
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
}

export const loader = workspaceLoader('read:InferenceCall', async (here, { request }) => {
  const params = new URL(request.url).searchParams
  try {
    return await loadView(here, params)
  } catch (error) {
    const catalogue = await loadCatalogue()
    return refusedPage(error, (refusal) => toRefusedView(params, catalogue, refusal))
  }
})

export default function Analytics() {
  const view = useLoaderData<View>()
  if ('refusal' in view) return <RefusedAnalytics view={view} />
  const { metered, ...rest } = view
  return <AnalyticsPage view={rest} metered={metered} />
}
