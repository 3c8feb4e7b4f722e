import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { type CalendarMonth, monthToDate } from '#app/platform/calendar-month.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'
import { notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'
import { computeInvoice } from './compute-invoice.ts'
import { toUsage, type UsageRow } from './internal/usage-buckets.server.ts'

export interface InvoiceVerdict {
  /** Whether the calls, counted again one by one, come to the very lines that were frozen. */
  equal: boolean
  frozenHash: string
  recountedHash: string
  recountedCalls: string
  recountedExactPico: string
}

/**
 * Recounts a closed month from its single calls, not from the rollups the close used, and compares with the frozen lines
 * (stripe §4 case 78). Anybody who may read the invoice may ask for it.
 * @throws AppError not_found
 */
export async function verifyInvoice(ctx: Ctx, runId: string): Promise<InvoiceVerdict> {
  authorize(ctx, 'read:Invoice', { workspaceId: ctx.workspaceId })
  if (!isId(runId)) throw notFound('Invoice')
  return inTenant({ workspaceId: ctx.workspaceId }, async (tx) => {
    const run = await tx.invoiceRun.findUnique({
      where: { workspaceId_id: { workspaceId: ctx.workspaceId, id: runId } },
    })
    if (!run) throw notFound('Invoice')
    const month = run.month as CalendarMonth
    const { buckets } = await recount(tx, ctx.workspaceId, month)
    const recounted = computeInvoice({ month, buckets, openingResiduePico: BigInt(run.openingResiduePico.toFixed(0)) })
    return {
      equal: recounted.linesHash === run.linesHash && recounted.totalCents === run.totalCents,
      frozenHash: run.linesHash,
      recountedHash: recounted.linesHash,
      recountedCalls: recounted.calls.toString(),
      recountedExactPico: recounted.exactPico.toString(),
    }
  })
}

async function recount(tx: Tx, workspaceId: string, month: CalendarMonth) {
  return toUsage(
    await tx.$queryRaw<UsageRow[]>`
      SELECT charge_mode, tier, key_source, to_char(dispatched_at AT TIME ZONE 'UTC', 'YYYY-MM') AS usage_month, price_book_version,
        count(*)::text AS calls, (count(*) FILTER (WHERE charge_pico IS NULL))::text AS held_calls,
        coalesce(sum(input_tokens), 0)::text AS input_tokens, coalesce(sum(output_tokens), 0)::text AS output_tokens,
        coalesce(sum(tier_price_pico), 0)::text AS tier_price_pico, coalesce(sum(raw_cost_pico), 0)::text AS raw_cost_pico,
        coalesce(sum(charge_pico), 0)::text AS charge_pico
      FROM metering.calls_now
      WHERE workspace_id = ${workspaceId}::uuid AND billing_month = ${monthToDate(month)}::date
        AND dispatched_at < (${monthToDate(month)}::date + interval '1 month') AT TIME ZONE 'UTC'
      GROUP BY charge_mode, tier, key_source, 4, price_book_version`,
  )
}
