import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { monthToDate } from '#app/platform/calendar-month.ts'
import type { Tx } from '#app/platform/db.server.ts'
import type { UsageBucket } from '../billing.ts'

/** A row of sums as SQL answers it: integers as text, for they may pass 2^53. */
export interface UsageRow {
  charge_mode: string
  tier: string
  key_source: string
  usage_month: string
  price_book_version: number
  calls: string
  held_calls: string
  input_tokens: string
  output_tokens: string
  tier_price_pico: string
  raw_cost_pico: string
  charge_pico: string
}

export interface MonthUsage {
  buckets: UsageBucket[]
  /** Calls whose raw cost is not known yet: at the cut-off they are billed 0 (stripe §2.8). */
  heldCalls: bigint
}

/** What a billing month's calls come to, from the daily rollups. */
export async function loadUsage(tx: Tx, workspaceId: string, month: CalendarMonth): Promise<MonthUsage> {
  const rows = await tx.$queryRaw<UsageRow[]>`
    SELECT charge_mode, tier, key_source, to_char(day, 'YYYY-MM') AS usage_month, price_book_version,
      sum(calls)::text AS calls, sum(held_calls)::text AS held_calls, sum(input_tokens)::text AS input_tokens,
      sum(output_tokens)::text AS output_tokens, sum(tier_price_pico)::text AS tier_price_pico,
      sum(raw_cost_pico)::text AS raw_cost_pico, sum(charge_pico)::text AS charge_pico
    FROM metering.call_daily_rollups
    WHERE workspace_id = ${workspaceId}::uuid AND billing_month = ${monthToDate(month)}::date
    GROUP BY charge_mode, tier, key_source, to_char(day, 'YYYY-MM'), price_book_version`
  return toUsage(rows)
}

export function toUsage(rows: UsageRow[]): MonthUsage {
  const buckets = rows.map((row) => ({
    chargeMode: row.charge_mode,
    tier: row.tier,
    keySource: row.key_source,
    usageMonth: row.usage_month as CalendarMonth,
    priceBookVersion: row.price_book_version,
    calls: BigInt(row.calls),
    inputTokens: BigInt(row.input_tokens),
    outputTokens: BigInt(row.output_tokens),
    tierPricePico: BigInt(row.tier_price_pico),
    rawCostPico: BigInt(row.raw_cost_pico),
    chargePico: BigInt(row.charge_pico),
  }))
  return { buckets, heldCalls: rows.reduce((sum, row) => sum + BigInt(row.held_calls), 0n) }
}

const lastRun = (tx: Tx, workspaceId: string) =>
  tx.invoiceRun.findFirst({
    where: { workspaceId, kind: 'ai_usage' },
    orderBy: [{ frozenAt: 'desc' }, { month: 'desc' }, { revision: 'desc' }],
    select: { closingResiduePico: true, frozenAt: true },
  })

/** What the workspace's last run left: the fraction of a cent, or the amount that was too small to charge. */
export async function openingResidue(tx: Tx, workspaceId: string): Promise<bigint> {
  const last = await lastRun(tx, workspaceId)
  return last ? BigInt(last.closingResiduePico.toFixed(0)) : 0n
}

/**
 * When a run that is frozen now counts as frozen: after the one before it, whatever the clocks say. Residues are a chain in
 * this order; two workers whose clocks disagree, or that waited for the ledger's lock, would bill one link of it twice and
 * lose another. The caller holds the ledger's exclusive lock.
 */
export async function frozenAfterLast(tx: Tx, workspaceId: string, now: Date): Promise<Date> {
  const last = await lastRun(tx, workspaceId)
  return last && last.frozenAt >= now ? new Date(last.frozenAt.getTime() + 1) : now
}
