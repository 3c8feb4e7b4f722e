import { parseCallFilter } from '#app/domain/analytics/analytics.ts'
import { exportCalls } from '#app/domain/analytics/export-calls.server.ts'
import { csvDownload } from '#app/http/csv-download.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'

export const loader = workspaceLoader('read:InferenceCall', async ({ ctx, workspace }, { request }) => {
  const filter = parseCallFilter(new URL(request.url).searchParams, ctx.now())
  return csvDownload(exportCalls(ctx, filter), `${workspace.slug}-calls-${filter.from}-to-${filter.to}.csv`)
})
