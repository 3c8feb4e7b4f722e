import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'

/** An operator has dealt with an alert. It comes back by itself where its cause does. @throws AppError not_found */
export async function dismissAlert(ctx: OperatorCtx, { id }: { id: string }): Promise<void> {
  authorize(ctx, 'operate:Platform', { workspaceId: '*' })
  await inSystem(async (tx) => {
    const alert = await tx.alert.findUnique({ where: { id } })
    if (!alert) throw notFound('Alert')
    if (alert.resolvedAt) return
    await resolveAlert(tx, alert.kind, alert.reference, ctx.now())
    await recordAudit(tx, {
      workspaceId: null,
      actor: ctx.actor,
      action: 'alert.resolved',
      subjectType: 'alert',
      subjectId: id,
      detail: { kind: alert.kind, reference: alert.reference },
      at: ctx.now(),
    })
  })
}
