import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { type CalendarMonth, monthToDate } from '#app/platform/calendar-month.ts'
import { inSystem } from '#app/platform/db.server.ts'

export interface OpenMonth {
  workspaceId: string
  month: CalendarMonth
}

/**
 * Fans the close out: one job per workspace and month that still has calls to bill, up to and including `month`. So a tick
 * that was missed, or a workspace whose import came late, is caught up by the next one; asking twice does nothing twice.
 */
export async function closeMonth(month: CalendarMonth): Promise<OpenMonth[]> {
  return inSystem(async (tx) => {
    const rows = await tx.$queryRaw<OpenMonth[]>`
      SELECT DISTINCT r.workspace_id::text AS "workspaceId", to_char(r.billing_month, 'YYYY-MM') AS month
      FROM metering.call_daily_rollups r
      WHERE r.billing_month <= ${monthToDate(month)}::date
        AND NOT EXISTS (SELECT FROM metering.closed_months c WHERE c.workspace_id = r.workspace_id AND c.month = r.billing_month)
      ORDER BY month, "workspaceId"`
    for (const row of rows) {
      await enqueueJob(tx, 'close-workspace-month', row, { jobKey: `close:${row.workspaceId}:${row.month}` })
    }
    return rows
  })
}
