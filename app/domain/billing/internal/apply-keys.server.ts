import type { Actor } from '#app/domain/permissions/permissions.ts'
import { planAllowsProvider } from '#app/domain/plans/plans.ts'
import { purgeWorkspaceKeys } from '#app/domain/vault/purge-workspace-keys.server.ts'
import type { Tx } from '#app/platform/db.server.ts'
import type { Entitlement } from '../entitlement.ts'

export interface KeyChange {
  workspaceId: string
  cause: string
  customerDeleted: boolean
  now: Date
  before: { planId: string; status: string | null }
  planId: string
}

const SYSTEM: Actor = { kind: 'system' }

/** Keys follow the plan: those that it does not allow are destroyed, disabled while paused, enabled again when the pause ends. */
export async function applyKeys(
  tx: Tx,
  { workspaceId, cause, customerDeleted, now, before, planId }: KeyChange,
  entitlement: Exclude<Entitlement, { kind: 'unknown_product' }>,
): Promise<void> {
  const keys = await tx.providerKey.findMany({
    where: { workspaceId },
    select: { id: true, provider: true, enabled: true },
  })
  // A key that was removed by hand leaves the workspace's data key behind: leaving the plan ends that one too.
  const dataKeys = await tx.workspaceDataKey.count({ where: { workspaceId } })
  if (keys.length === 0 && dataKeys === 0) return
  const ended = entitlement.kind === 'none' || (entitlement.kind === 'paused' && entitlement.purge)
  const keeps = (provider: string) => !ended && planAllowsProvider(entitlement.plan, provider)
  const holdsNone = ended || entitlement.plan.allowedProviders.length === 0
  if (holdsNone || keys.some((key) => !keeps(key.provider))) {
    const why = customerDeleted ? 'customer_deleted' : ended ? entitlement.kind : 'plan_changed'
    const reason = why === 'none' ? 'subscription_ended' : why === 'paused' ? 'paused_too_long' : why
    await purgeWorkspaceKeys(tx, {
      workspaceId,
      cause: reason,
      causeReference: cause,
      fromPlanId: before.planId,
      toPlanId: planId,
      actor: SYSTEM,
      at: now,
      keeps,
    })
    if (!keys.some((key) => keeps(key.provider))) return
  }
  const enabled = entitlement.kind === 'plan'
  const resumed = enabled && before.status === 'paused'
  if (enabled && !resumed) return
  // Keys that their holder switched off stay off when the pause ends.
  const where = { workspaceId, enabled: !enabled, switchedOff: false }
  const { count } = await tx.providerKey.updateMany({ where, data: { enabled } })
  if (count > 0) await tx.workspace.update({ where: { id: workspaceId }, data: { keyEpoch: { increment: 1 } } })
}
