import { raiseNotice, resolveNotices } from '#app/domain/notifications/notices.server.ts'
import { inSystem, systemPool, type Tx } from '#app/platform/db.server.ts'
import { displayUsd } from '#app/platform/pico.ts'
import { judgeCredits } from './credits.ts'

const kind = 'low_credits'
const reference = 'credits'

interface Standing {
  low: boolean
  thresholdPico: string
  availablePico: string
}

/** Raises or resolves the notice of low credits, in the caller's transaction. A plan without credits has none. */
export async function noteLowCredits(tx: Tx, workspaceId: string, at: Date): Promise<void> {
  const [standing] = await tx.$queryRaw<Standing[]>`
    SELECT w.credits_low AS low, trunc(w.low_credits_usd * 1000000000000)::text AS "thresholdPico",
      (SELECT coalesce(sum(g.available_pico), 0)::text FROM metering.credit_grants g
        WHERE g.workspace_id = w.id AND g.available_pico > 0 AND (g.expires_at IS NULL OR g.expires_at > clock_timestamp())) AS "availablePico"
      FROM workspaces w JOIN plans p ON p.id = w.plan_id
     WHERE w.id = ${workspaceId}::uuid AND p.platform_charge_mode = 'credits'`
  if (!standing) return
  const [thresholdPico, availablePico] = [BigInt(standing.thresholdPico), BigInt(standing.availablePico)]
  const verdict = judgeCredits({ low: standing.low, thresholdPico, availablePico })
  if (verdict === 'leave') return
  await tx.workspace.update({ where: { id: workspaceId }, data: { creditsLow: verdict === 'raise' } })
  if (verdict === 'resolve') return resolveNotices(tx, { workspaceId, kinds: [kind], reference, at })
  await raiseNotice(tx, {
    workspaceId,
    kind,
    reference,
    title: 'Credits are running low',
    message: `The workspace has ${displayUsd(availablePico, 2, 12)} in credits left, less than the ${displayUsd(thresholdPico, 2, 12)} at which you want to be told. Calls on the platform key are refused once credits do not cover them.`,
    path: 'settings/credits',
    at,
  })
}

/** Workspaces whose credits fell below what they want to be told at, or rose above it again. */
const swinging = `
  SELECT w.id::text AS id FROM workspaces w JOIN plans p ON p.id = w.plan_id AND p.platform_charge_mode = 'credits'
  LEFT JOIN LATERAL (SELECT sum(g.available_pico) AS pico FROM metering.credit_grants g WHERE g.workspace_id = w.id
     AND g.available_pico > 0 AND (g.expires_at IS NULL OR g.expires_at > clock_timestamp())) left_over ON true
  WHERE EXISTS (SELECT FROM metering.credit_grants g WHERE g.workspace_id = w.id)
    AND CASE WHEN w.credits_low THEN coalesce(left_over.pico, 0) * 4 >= w.low_credits_usd * 5000000000000
        ELSE coalesce(left_over.pico, 0) < w.low_credits_usd * 1000000000000 END`

/** Tells every workspace whose credits have become low. One that never had any is not told. @returns how many were looked at */
export async function tellOfLowCredits(at: Date): Promise<number> {
  const { rows } = await systemPool().query<{ id: string }>(swinging)
  for (const { id } of rows) await inSystem((tx) => noteLowCredits(tx, id, at))
  return rows.length
}
