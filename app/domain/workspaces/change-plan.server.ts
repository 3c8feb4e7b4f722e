import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import type { Actor } from '#app/domain/permissions/permissions.ts'
import type { Tx } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'

export interface LockedWorkspace {
  id: string
  planId: string
  stripeCustomerId: string | null
  stripeSubscriptionId: string | null
  subscriptionStatus: string | null
}

/**
 * Locks the workspace's row until the transaction ends. Saving a key and leaving a plan both take it first, so a key
 * cannot be saved under a plan that is just being left (stripe case 53).
 */
export async function lockWorkspace(tx: Tx, workspaceId: string): Promise<LockedWorkspace> {
  const [row] = await tx.$queryRaw<LockedWorkspace[]>`
    SELECT id::text, plan_id AS "planId", stripe_customer_id AS "stripeCustomerId", stripe_subscription_id AS "stripeSubscriptionId",
      subscription_status AS "subscriptionStatus"
    FROM workspaces WHERE id = ${workspaceId}::uuid FOR UPDATE`
  if (!row) throw notFound('Workspace')
  return row
}

export interface PlanChange {
  workspaceId: string
  planId: string
  subscription: { id: string | null; status: string | null; endsAt: Date | null }
  /** What made it so: a Stripe event id, an operator. */
  cause: string
  actor: Actor
  at: Date
}

/** Mirrors the subscription and, where the plan differs, changes it and raises the key epoch: all processes look again. */
export async function changePlan(tx: Tx, change: PlanChange): Promise<{ from: string; to: string; changed: boolean }> {
  const before = await lockWorkspace(tx, change.workspaceId)
  const changed = before.planId !== change.planId
  await tx.workspace.update({
    where: { id: change.workspaceId },
    data: {
      planId: change.planId,
      stripeSubscriptionId: change.subscription.id,
      subscriptionStatus: change.subscription.status,
      subscriptionEndsAt: change.subscription.endsAt,
      ...(changed ? { keyEpoch: { increment: 1 } } : {}),
    },
  })
  if (changed) {
    await recordAudit(tx, {
      workspaceId: change.workspaceId,
      actor: change.actor,
      action: 'workspace.plan_changed',
      subjectType: 'workspace',
      subjectId: change.workspaceId,
      detail: { from: before.planId, to: change.planId, cause: change.cause },
      at: change.at,
    })
    // What the new plan brings for the rest of the month; a plan without monthly credits brings nothing.
    const { workspaceId } = change
    await enqueueJob(tx, 'grant-monthly-credits', { workspaceId }, { jobKey: `grant-monthly-credits:${workspaceId}` })
  }
  return { from: before.planId, to: change.planId, changed }
}
