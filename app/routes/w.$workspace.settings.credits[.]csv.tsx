import { exportMovements } from '#app/domain/credits/export-movements.server.ts'
import { csvDownload } from '#app/http/csv-download.server.ts'
import { workspaceLoader } from '#app/http/route.server.ts'

export const loader = workspaceLoader('read:Workspace', async ({ ctx, workspace }) =>
  csvDownload(exportMovements(ctx), `${workspace.slug}-credits-${ctx.now().toISOString().slice(0, 10)}.csv`),
)
