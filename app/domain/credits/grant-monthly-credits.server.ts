import { monthEnd, monthOf } from '#app/platform/calendar-month.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { monthlyGrantPico } from './credits.ts'
import { grantCredits } from './grant-credits.server.ts'

interface Due {
  workspaceId: string
  planId: string
}

interface Amounts {
  planPico: string
  grantedPico: string
}

/** Workspaces that a plan brings monthly credits and whose grant of this month and plan is not there yet. */
const due = `
  SELECT w.id::text AS "workspaceId", w.plan_id AS "planId"
    FROM workspaces w JOIN plans p ON p.id = w.plan_id
   WHERE p.monthly_credits_usd > 0 AND ($1::uuid IS NULL OR w.id = $1) AND w.suspended_at IS NULL
     AND (w.subscription_status IS NULL OR w.subscription_status IN ('active', 'trialing', 'past_due'))
     AND NOT EXISTS (SELECT FROM metering.credit_grants g WHERE g.workspace_id = w.id AND g.reference = $2 || ':' || w.plan_id)
   ORDER BY w.id`

async function grantOne({ workspaceId, planId }: Due, month: string, at: Date): Promise<boolean> {
  return inSystem(async (tx) => {
    // Whoever waits for the workspace's row must not keep its calls waiting for its credits meanwhile.
    await tx.$executeRaw`SELECT 1 FROM workspaces WHERE id = ${workspaceId}::uuid FOR NO KEY UPDATE`
    // Of two plans that a month's credits are granted for at once, the second must see what the first brought.
    await tx.$queryRaw`SELECT metering.lock_credits(${workspaceId}::uuid)::text`
    const [amounts] = await tx.$queryRaw<Amounts[]>`
      SELECT trunc(p.monthly_credits_usd * 1000000000000)::text AS "planPico",
        (SELECT coalesce(sum(g.amount_pico), 0)::text FROM metering.credit_grants g
          WHERE g.workspace_id = w.id AND g.kind = 'monthly' AND g.reference LIKE ${`${month}:%`}) AS "grantedPico"
      FROM workspaces w JOIN plans p ON p.id = w.plan_id WHERE w.id = ${workspaceId}::uuid AND w.plan_id = ${planId}`
    if (!amounts) return false // the plan has changed meanwhile: the change asked for its own grant
    const amountPico = monthlyGrantPico(BigInt(amounts.planPico), BigInt(amounts.grantedPico))
    if (amountPico === 0n) return false
    const expiresAt = monthEnd(month as ReturnType<typeof monthOf>)
    const actor = { kind: 'system' } as const
    const grant = {
      workspaceId,
      kind: 'monthly',
      amountPico,
      reference: `${month}:${planId}`,
      expiresAt,
      actor,
      at,
    } as const
    return grantCredits(tx, grant)
  })
}

/**
 * Grants the credits that plans bring each UTC month, once per workspace, month and plan; they end with the month. A change of
 * plan within a month brings what the new plan's amount exceeds the earlier ones' by.
 * @param workspaceId only this one's; null: all
 * @returns how many grants were made
 */
export async function grantMonthlyCredits(workspaceId: string | null, at: Date): Promise<number> {
  const month = monthOf(at)
  const { rows } = await systemPool().query<Due>(due, [workspaceId, month])
  let granted = 0
  for (const row of rows) if (await grantOne(row, month, at)) granted += 1
  return granted
}
