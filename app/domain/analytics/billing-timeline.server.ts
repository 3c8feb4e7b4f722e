import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import type { ChargeMode, KeySource } from '#app/domain/plans/plans.ts'
import { inTenant } from '#app/platform/db.server.ts'

/** What decided, from when on, whose key paid and how a call was charged. Times are ISO texts; days are UTC days. */
export type TimelineEvent =
  | { kind: 'plan'; at: string; until: string | null; planName: string }
  | { kind: 'key'; at: string; until: string | null; provider: string; hint: string | null }
  | { kind: 'purge'; at: string; provider: string; hint: string; certificateId: string }
  | { kind: 'calls'; at: string; until: string; keySource: KeySource; chargeMode: ChargeMode; calls: string }

/**
 * The workspace's billing modes over time, newest first: its plans, when which of its keys was enabled, purges, and the first and
 * last day with calls of each key source and charge mode.
 */
export async function getBillingTimeline(ctx: Ctx): Promise<TimelineEvent[]> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:InferenceCall', { workspaceId })
  const events = await inTenant({ workspaceId }, async (tx): Promise<TimelineEvent[]> => {
    const [plans, periods, keys, purges, names] = [
      await tx.workspacePlanPeriod.findMany({ where: { workspaceId }, orderBy: { since: 'desc' }, take: 100 }),
      await tx.providerKeyPeriod.findMany({ where: { workspaceId }, orderBy: { enabledFrom: 'desc' }, take: 200 }),
      await tx.providerKey.findMany({ where: { workspaceId }, select: { id: true, hint: true } }),
      await tx.keyPurge.findMany({ where: { workspaceId }, orderBy: { purgedAt: 'desc' }, take: 100 }),
      new Map((await tx.plan.findMany({ select: { id: true, name: true } })).map(({ id, name }) => [id, name])),
    ]
    const calls = await tx.$queryRaw<
      { at: string; until: string; keySource: KeySource; chargeMode: ChargeMode; calls: string }[]
    >`
      SELECT min(day)::text AS at, max(day)::text AS until, key_source AS "keySource", charge_mode AS "chargeMode", sum(calls)::text AS calls
        FROM metering.call_daily_rollups WHERE workspace_id = ${workspaceId}::uuid GROUP BY key_source, charge_mode`
    const hints = new Map([
      ...purges.map(({ keyId, hint }) => [keyId, hint] as const),
      ...keys.map(({ id, hint }) => [id, hint] as const),
    ])
    return [
      ...plans.map(({ since, until, planId }) => ({
        ...{ kind: 'plan' as const, at: since.toISOString(), until: until?.toISOString() ?? null },
        planName: names.get(planId) ?? planId,
      })),
      ...periods.map(({ enabledFrom, enabledTo, provider, keyId }) => ({
        ...{ kind: 'key' as const, at: enabledFrom.toISOString(), until: enabledTo?.toISOString() ?? null },
        ...{ provider, hint: hints.get(keyId) ?? null },
      })),
      ...purges.map(({ id, purgedAt, provider, hint }) => ({
        ...{ kind: 'purge' as const, at: purgedAt.toISOString(), provider, hint, certificateId: id },
      })),
      ...calls.map((row) => ({ kind: 'calls' as const, ...row })),
    ]
  })
  return events.sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0))
}
