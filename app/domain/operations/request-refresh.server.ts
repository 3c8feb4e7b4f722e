import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'

/** Has the providers' price lists fetched now, instead of at their hour. Asked twice before it started, it is done once. */
export async function requestCatalogueRefresh(ctx: OperatorCtx): Promise<void> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  await inSystem(async (tx) => {
    await enqueueJob(tx, 'refresh-catalogues', {}, { jobKey: 'refresh-catalogues:by-hand' })
    await recordAudit(tx, {
      workspaceId: null,
      actor: ctx.actor,
      action: 'catalogues.refresh_requested',
      subjectType: 'catalogue',
      subjectId: 'all',
      detail: {},
      at: ctx.now(),
    })
  })
}
