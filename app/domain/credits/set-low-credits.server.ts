import { changedDetail } from '#app/domain/audit/audit.ts'
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { noteLowCredits } from './note-low-credits.server.ts'

/**
 * Below which credits the workspace is told; 0 asks for silence.
 * @throws AppError bad_request `invalid_amount`
 */
export async function setLowCredits(ctx: Ctx, given: { usd: string }): Promise<void> {
  const { workspaceId } = ctx
  authorize(ctx, 'manage:Billing', { workspaceId })
  const usd = given.usd.trim()
  if (!/^\d{1,5}(\.\d{1,6})?$/.test(usd))
    throw new AppError(
      'bad_request',
      'invalid_amount',
      'Enter an amount in dollars from 0 to 99,999, such as 5 or 0.50.',
      {
        field: 'lowCreditsUsd',
      },
    )
  const at = ctx.now()
  await inTenant({ workspaceId }, async (tx) => {
    const before = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } })
    await tx.workspace.update({ where: { id: workspaceId }, data: { lowCreditsUsd: usd } })
    const subject = { subjectType: 'workspace', subjectId: workspaceId }
    await recordAudit(tx, {
      workspaceId,
      actor: ctx.actor,
      action: 'workspace.low_credits_set',
      ...subject,
      detail: changedDetail({ usd: before.lowCreditsUsd.toFixed() }, { usd }),
      at,
    })
    await noteLowCredits(tx, workspaceId, at)
  })
}
