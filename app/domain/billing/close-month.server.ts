import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { type CalendarMonth, monthToDate } from '#app/platform/calendar-month.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'

export interface OpenMonth {
  workspaceId: string
  month: CalendarMonth
}

/**
 * Fans the close out: one job per workspace and month that still has something to bill, up to and including `month`. So a tick
 * that was missed, or a workspace whose import came late, is caught up by the next one; asking twice does nothing twice.
 */
export async function closeMonth(month: CalendarMonth): Promise<OpenMonth[]> {
  return inSystem(async (tx) => {
    const rows = await findOpenMonths(tx, month)
    for (const row of rows) {
      await enqueueJob(tx, 'close-workspace-month', row, { jobKey: `close:${row.workspaceId}:${row.month}` })
    }
    return rows
  })
}

/**
 * Months with something to bill: calls, other usage, corrections; a month in which a key was enabled under a plan with a fee,
 * if no later one is closed; and, for workspaces that have left, what was carried, be it a credit that operators are told of.
 */
export function findOpenMonths(tx: Tx, month: CalendarMonth): Promise<OpenMonth[]> {
  const last = monthToDate(month)
  return tx.$queryRaw<OpenMonth[]>`
    WITH billed AS (
      SELECT workspace_id, billing_month AS month FROM metering.call_daily_rollups WHERE billing_month <= ${last}::date
      UNION SELECT workspace_id, billing_month FROM metering.usage_events WHERE billing_month <= ${last}::date
      UNION SELECT workspace_id, billing_month FROM metering.call_adjustments
        WHERE billing_month <= ${last}::date AND charge_after_pico <> charge_before_pico
    ), enabled AS (
      SELECT p.workspace_id, greatest(k.enabled_from, p.since) AS since,
        least(coalesce(k.enabled_to, 'infinity'), coalesce(p.until, 'infinity'), (${last}::date + interval '1 month') AT TIME ZONE 'UTC') AS until
      FROM workspace_plan_periods p
      JOIN plans l ON l.id = p.plan_id AND l.workspace_charge_mode = 'flat_fee' AND l.key_fee_usd > 0
      JOIN provider_key_periods k ON k.workspace_id = p.workspace_id
    ), fees AS (
      SELECT e.workspace_id, m::date AS month FROM enabled e
      CROSS JOIN LATERAL generate_series(date_trunc('month', e.since AT TIME ZONE 'UTC'),
        (e.until - interval '1 millisecond') AT TIME ZONE 'UTC', interval '1 month') AS m
      WHERE e.since < e.until
        AND m::date > coalesce((SELECT max(c.month) FROM metering.closed_months c WHERE c.workspace_id = e.workspace_id), '-infinity')
    ), left_over AS (
      SELECT r.workspace_id, ${last}::date AS month FROM (
        SELECT DISTINCT ON (workspace_id) workspace_id, month, closing_residue_pico FROM invoice_runs
         WHERE kind = 'ai_usage' ORDER BY workspace_id, frozen_at DESC, month DESC, revision DESC) r
      JOIN workspaces w ON w.id = r.workspace_id AND w.subscription_status IN ('canceled', 'incomplete_expired')
      WHERE abs(r.closing_residue_pico) >= 10000000000 AND r.month < ${month}
    )
    SELECT o.workspace_id::text AS "workspaceId", to_char(o.month, 'YYYY-MM') AS month
    FROM (SELECT * FROM billed UNION SELECT * FROM fees UNION SELECT * FROM left_over) o
    WHERE NOT EXISTS (SELECT FROM metering.closed_months c WHERE c.workspace_id = o.workspace_id AND c.month = o.month)
    ORDER BY o.month, o.workspace_id`
}
