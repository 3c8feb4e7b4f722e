import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { planAllowsProvider, platformServes } from '#app/domain/plans/plans.ts'
import { toPlanRules } from '#app/domain/plans/queries.server.ts'
import { inTenant } from '#app/platform/db.server.ts'
import type { Pico } from '#app/platform/pico.ts'
import { comparePlan } from './counterfactual.server.ts'

/** What a change of plan that Stripe has scheduled will do to the workspace's keys. */
export interface PlanLeaving {
  at: string
  fromPlan: string
  toPlan: string
  /** Keys that the new plan forbids: destroyed at that instant. */
  keys: { id: string; provider: string; hint: string; name: string }[]
  /** Surfaces whose calls those keys carried in the last 30 days, busiest first. */
  surfaces: { surface: string; calls: string }[]
  /** Whether those calls run on the platform key then; if not, they are refused. */
  movesToPlatform: boolean
  /** What the last 30 days would have cost more (or less) under the new plan, here and at the provider; null: not known. */
  extraPico: Pico | null
}

/**
 * The countdown to a scheduled leave (design §9). Nothing is lost before its time: it is gone as soon as the schedule is.
 * @returns null where no change is scheduled, or none that touches a key
 */
export async function getPlanLeaving(ctx: Ctx): Promise<PlanLeaving | null> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:ProviderKey', { workspaceId })
  const found = await inTenant({ workspaceId }, async (tx) => {
    const workspace = await tx.workspace.findUniqueOrThrow({
      where: { id: workspaceId },
      include: { plan: true, scheduledPlan: true },
    })
    const { scheduledPlan, scheduledChangeAt, plan, neverPlatformKey } = workspace
    if (!scheduledPlan || !scheduledChangeAt) return null
    const next = toPlanRules(scheduledPlan)
    const held = await tx.providerKey.findMany({
      where: { workspaceId },
      select: { id: true, provider: true, hint: true, name: true },
      orderBy: [{ position: 'asc' }, { createdAt: 'asc' }],
    })
    const keys = held.filter(({ provider }) => !planAllowsProvider(next, provider))
    if (keys.length === 0) return null
    const providers = [...new Set(keys.map(({ provider }) => provider))]
    const since = new Date(ctx.now().getTime() - 29 * 86_400_000)
    const surfaces = await tx.$queryRaw<{ surface: string; calls: string }[]>`
      SELECT surface, sum(calls)::text AS calls FROM metering.call_daily_rollups
       WHERE workspace_id = ${workspaceId}::uuid AND day >= ${since}::date AND key_source = 'workspace' AND provider = ANY (${providers})
       GROUP BY surface ORDER BY sum(calls) DESC, surface`
    const movesToPlatform = platformServes({ plan: next, neverPlatformKey })
    const keepsSome = held.length > keys.length
    return { at: scheduledChangeAt.toISOString(), plan, next, keys, surfaces, movesToPlatform, keepsSome }
  })
  if (!found) return null
  const { at, plan, next, keys, surfaces, movesToPlatform, keepsSome } = found
  const [now, then] = [await comparePlan(ctx), await comparePlan(ctx, next.id)]
  const after = keepsSome ? then?.ownKey : then?.platform
  const extraPico = movesToPlatform && now?.ownKey && after ? after.totalPico - now.ownKey.totalPico : null
  return {
    ...{ at, fromPlan: plan.name, toPlan: next.name, surfaces, movesToPlatform, extraPico },
    keys: keys.map((key) => ({ ...key, name: key.name ?? '' })),
  }
}
