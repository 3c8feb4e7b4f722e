import { planAllowsProvider } from '#app/domain/plans/plans.ts'
import { toPlanRules } from '#app/domain/plans/queries.server.ts'
import type { Tx } from '#app/platform/db.server.ts'
import { planWithoutKeys, subscriptionPaused } from './errors.ts'

/** Holds the workspace's row until the caller's transaction ends: changes of its keys follow one another. */
export async function lockWorkspaceRow(tx: Tx, workspaceId: string): Promise<void> {
  await tx.$queryRaw`SELECT id::text FROM workspaces WHERE id = ${workspaceId}::uuid FOR UPDATE`
}

/**
 * The plan is read under the workspace's row lock: it cannot be left between this check and the save (stripe case 53).
 * @throws AppError forbidden `plan_required`, conflict `subscription_paused`
 */
export async function lockEntitledWorkspace(tx: Tx, workspaceId: string, provider: string): Promise<void> {
  await lockWorkspaceRow(tx, workspaceId)
  const workspace = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, include: { plan: true } })
  if (!planAllowsProvider(toPlanRules(workspace.plan), provider)) throw planWithoutKeys()
  // A pause disables keys; a key saved under it would run until the next look at the subscription (stripe §2.7).
  if (workspace.subscriptionStatus === 'paused') throw subscriptionPaused()
}

/** Every process drops what it holds open of the workspace's keys when the caller's transaction commits (NOTIFY). */
export async function raiseKeyEpoch(tx: Tx, workspaceId: string): Promise<void> {
  await tx.workspace.update({ where: { id: workspaceId }, data: { keyEpoch: { increment: 1 } } })
}
