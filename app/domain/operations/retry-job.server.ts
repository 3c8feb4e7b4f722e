import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { rescheduleJob } from '#app/domain/jobs/queries.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'

/**
 * Lets a failed or waiting job run now, with all its tries.
 * @throws AppError conflict `job_not_waiting` where it is done or running meanwhile
 */
export async function retryJob(ctx: OperatorCtx, { id }: { id: bigint }): Promise<{ name: string }> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  return inSystem(async (tx) => {
    const name = await rescheduleJob(tx, id)
    if (name === null)
      throw new AppError('conflict', 'job_not_waiting', 'This job is done or running by now. Nothing was changed.')
    await recordAudit(tx, {
      workspaceId: null,
      actor: ctx.actor,
      action: 'job.retried',
      subjectType: 'job',
      subjectId: id.toString(),
      detail: { name },
      at: ctx.now(),
    })
    return { name }
  })
}
