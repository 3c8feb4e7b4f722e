import type { CalendarMonth } from '#app/platform/calendar-month.ts'
import { monthToDate } from '#app/platform/calendar-month.ts'
import { systemPool, type Tx } from '#app/platform/db.server.ts'
import { parseDecimal } from '#app/platform/pico.ts'
import type { CorrectionBucket, MeterBucket, UsageBucket } from '../billing.ts'
import { daysOfCalls } from './digests.server.ts'

/** A row of sums as SQL answers it: integers as text, for they may pass 2^53. */
export interface UsageRow {
  charge_mode: string
  tier: string
  key_source: string
  usage_month: string
  price_book_version: number
  markup_bp: number
  calls: string
  held_calls: string
  input_tokens: string
  output_tokens: string
  tier_price_pico: string
  raw_cost_pico: string
  charge_pico: string
  basis_pico: string
  credit_pico: string
}

export interface MonthUsage {
  buckets: UsageBucket[]
  /** Calls whose raw cost is not known yet: at the cut-off they are billed 0 (stripe §2.8). */
  heldCalls: bigint
}

/** What a billing month's calls come to, from the daily rollups. */
export async function loadUsage(tx: Tx, workspaceId: string, month: CalendarMonth): Promise<MonthUsage> {
  const rows = await tx.$queryRaw<UsageRow[]>`
    SELECT charge_mode, tier, key_source, to_char(day, 'YYYY-MM') AS usage_month, price_book_version, markup_bp,
      sum(calls)::text AS calls, sum(held_calls)::text AS held_calls, sum(input_tokens)::text AS input_tokens,
      sum(output_tokens)::text AS output_tokens, sum(tier_price_pico)::text AS tier_price_pico,
      sum(raw_cost_pico)::text AS raw_cost_pico, sum(charge_pico)::text AS charge_pico, sum(basis_pico)::text AS basis_pico,
      sum(credit_pico)::text AS credit_pico
    FROM metering.call_daily_rollups
    WHERE workspace_id = ${workspaceId}::uuid AND billing_month = ${monthToDate(month)}::date
    GROUP BY charge_mode, tier, key_source, to_char(day, 'YYYY-MM'), price_book_version, markup_bp`
  return toUsage(rows)
}

const recountOfDay = `
  SELECT charge_mode, tier, key_source, substr($3, 1, 7) AS usage_month, price_book_version, coalesce(markup_bp, 0) AS markup_bp,
    count(*)::text AS calls, (count(*) FILTER (WHERE charge_pico IS NULL))::text AS held_calls,
    coalesce(sum(input_tokens), 0)::text AS input_tokens, coalesce(sum(output_tokens), 0)::text AS output_tokens,
    coalesce(sum(tier_price_pico), 0)::text AS tier_price_pico, coalesce(sum(raw_cost_pico), 0)::text AS raw_cost_pico,
    coalesce(sum(charge_pico), 0)::text AS charge_pico, coalesce(sum(basis_pico), 0)::text AS basis_pico,
    coalesce(sum(credit_pico), 0)::text AS credit_pico
  FROM metering.calls_now
  WHERE workspace_id = $1 AND billing_month = $2::date
    AND dispatched_at >= $3::date::timestamp AT TIME ZONE 'UTC' AND dispatched_at < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'
  GROUP BY charge_mode, tier, key_source, price_book_version, coalesce(markup_bp, 0)`

/** The same, counted from the single calls of a closed month: a day at a time, so that no statement grows with the month. */
export async function recountUsage(workspaceId: string, month: CalendarMonth): Promise<MonthUsage> {
  const rows: UsageRow[] = []
  for (const day of await daysOfCalls(workspaceId, month))
    rows.push(...(await systemPool().query<UsageRow>(recountOfDay, [workspaceId, monthToDate(month), day])).rows)
  return toUsage(rows)
}

function toUsage(rows: UsageRow[]): MonthUsage {
  const buckets = rows.map((row) => ({
    chargeMode: row.charge_mode,
    tier: row.tier,
    keySource: row.key_source,
    usageMonth: row.usage_month as CalendarMonth,
    priceBookVersion: row.price_book_version,
    markupBp: row.markup_bp,
    calls: BigInt(row.calls),
    inputTokens: BigInt(row.input_tokens),
    outputTokens: BigInt(row.output_tokens),
    tierPricePico: BigInt(row.tier_price_pico),
    rawCostPico: BigInt(row.raw_cost_pico),
    chargePico: BigInt(row.charge_pico),
    basisPico: BigInt(row.basis_pico),
    creditPico: BigInt(row.credit_pico),
  }))
  return { buckets, heldCalls: rows.reduce((sum, row) => sum + BigInt(row.held_calls), 0n) }
}

type MeterSums = { [name in keyof MeterBucket]: MeterBucket[name] extends bigint ? string : MeterBucket[name] }

/** Usage that is no call, billed in the month, by meter and price. */
export async function loadMeters(tx: Tx, workspaceId: string, month: CalendarMonth): Promise<MeterBucket[]> {
  const rows = await tx.$queryRaw<MeterSums[]>`
    SELECT e.meter, coalesce(p.name, e.meter) AS name, coalesce(p.unit, 'units') AS unit, e.unit_usd::text AS "unitUsd",
      to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM') AS "usageMonth", e.price_book_version AS "priceBookVersion",
      count(*)::text AS events, sum(e.quantity)::text AS "quantityNano", sum(e.credit_pico)::text AS "creditPico",
      sum(e.charge_pico)::text AS "chargePico"
    FROM metering.usage_events e
    LEFT JOIN meter_prices p ON p.price_book_version = e.price_book_version AND p.meter = e.meter
    WHERE e.workspace_id = ${workspaceId}::uuid AND e.billing_month = ${monthToDate(month)}::date
    GROUP BY e.meter, p.name, p.unit, e.unit_usd, 5, e.price_book_version`
  return rows.map((row) => ({
    ...row,
    events: BigInt(row.events),
    quantityNano: parseDecimal(row.quantityNano, 9) ?? 0n,
    creditPico: BigInt(row.creditPico),
    chargePico: BigInt(row.chargePico),
  }))
}

type CorrectionSums = {
  [name in keyof CorrectionBucket]: CorrectionBucket[name] extends bigint ? string : CorrectionBucket[name]
}

/** Difference entries that the month's invoice carries. */
export async function loadCorrections(tx: Tx, workspaceId: string, month: CalendarMonth): Promise<CorrectionBucket[]> {
  const rows = await tx.$queryRaw<CorrectionSums[]>`
    SELECT reason, to_char(dispatched_at AT TIME ZONE 'UTC', 'YYYY-MM') AS "usageMonth", price_book_version AS "priceBookVersion",
      count(*)::text AS calls, sum(charge_before_pico)::text AS "beforePico", sum(charge_after_pico)::text AS "afterPico"
    FROM metering.call_adjustments
    WHERE workspace_id = ${workspaceId}::uuid AND billing_month = ${monthToDate(month)}::date
    GROUP BY reason, 2, price_book_version`
  return rows.map((row) => ({
    ...row,
    calls: BigInt(row.calls),
    beforePico: BigInt(row.beforePico),
    afterPico: BigInt(row.afterPico),
  }))
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

/** What the run before this one in the chain left: with it this one must have begun. */
export async function residueBefore(tx: Tx, run: { workspaceId: string; frozenAt: Date }): Promise<bigint> {
  const before = await tx.invoiceRun.findFirst({
    where: { workspaceId: run.workspaceId, kind: 'ai_usage', frozenAt: { lt: run.frozenAt } },
    orderBy: [{ frozenAt: 'desc' }, { month: 'desc' }, { revision: 'desc' }],
    select: { closingResiduePico: true },
  })
  return before ? BigInt(before.closingResiduePico.toFixed(0)) : 0n
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
