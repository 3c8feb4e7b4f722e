import { raiseNotice } from '#app/domain/notifications/notices.server.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { log } from '#app/platform/log.server.ts'
import type { Call, StandIn } from './call.ts'

const chargedToday = `
  SELECT coalesce(sum(charge_pico), 0)::text AS charged FROM metering.inference_calls
   WHERE workspace_id = $1 AND surface = $2 AND fallback_of IS NOT NULL
     AND dispatched_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'`

/** Whether today's stand-ins on the surface leave room under the workspace's cap. Calls in flight are not in the sum yet. */
async function underCap({ dispatch }: Call, { capPico }: StandIn): Promise<boolean> {
  const { rows } = await systemPool().query<{ charged: string }>(chargedToday, [dispatch.workspaceId, dispatch.surface])
  return BigInt(rows[0]?.charged ?? '0') < capPico
}

function tellWorkspace(call: Call, status: number): void {
  const { workspaceId, surface } = call.dispatch
  const at = new Date()
  const day = at.toISOString().slice(0, 10)
  inSystem((tx) =>
    raiseNotice(tx, {
      workspaceId,
      kind: 'fallback_used',
      reference: `${surface} ${day}`,
      title: 'Calls fell back to the platform key',
      message: `${call.provider.name} answered ${status} to calls of the surface '${surface}', so they went out under the platform key and are billed at the platform price. You allowed this for the surface.`,
      path: 'settings/billing',
      at,
      quietMs: 24 * 3_600_000, // also where it was dismissed: the reference is the day's
    }),
  ).catch((error: Error) => log.warn({ reason: error.message }, 'a notice could not be raised'))
}

/**
 * The call that stands in for a refused one under the platform's key; null where the day's cap is used up or nothing can
 * stand in. The workspace is told once a day and surface.
 */
export async function admitStandIn(call: Call, status: number): Promise<Call | null> {
  const { standIn } = call
  try {
    if (!standIn || !(await underCap(call, standIn))) return null
    const next = await standIn.admit()
    tellWorkspace(call, status)
    return next
  } catch (error) {
    log.warn({ callId: call.dispatch.id, reason: (error as Error).message }, 'no call could stand in for a refused one')
    return null
  }
}
