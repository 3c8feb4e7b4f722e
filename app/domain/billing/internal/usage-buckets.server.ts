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

/** What a billing month comes to, as SQL answers it: integers as text. `usage` is of the daily rollups. */
export interface MonthSums {
  usage: UsageRow[]
  meters: Texts<MeterBucket>[]
  corrections: Texts<CorrectionBucket>[]
}

type Texts<T> = { [name in keyof T]: T[name] extends bigint ? string : T[name] }

/** @param ofCalls false: they were counted one by one already, and their rollups are not read */
export async function loadSums(
  tx: Tx,
  workspaceId: string,
  month: CalendarMonth,
  ofCalls: boolean,
): Promise<MonthSums> {
  const [row] = await tx.$queryRaw<{ sums: MonthSums }[]>`
    SELECT metering.month_sums(${workspaceId}::uuid, ${monthToDate(month)}::date, ${ofCalls}::boolean) AS sums`
  return row?.sums as MonthSums
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

export function toUsage(rows: UsageRow[]): MonthUsage {
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

/** Usage that is no call, billed in the month, by meter and price. */
export const toMeters = (rows: MonthSums['meters']): MeterBucket[] =>
  rows.map((row) => ({
    ...row,
    events: BigInt(row.events),
    quantityNano: parseDecimal(row.quantityNano, 9) ?? 0n,
    creditPico: BigInt(row.creditPico),
    chargePico: BigInt(row.chargePico),
  }))

/** Difference entries that the month's invoice carries. */
export const toCorrections = (rows: MonthSums['corrections']): CorrectionBucket[] =>
  rows.map((row) => ({
    ...row,
    calls: BigInt(row.calls),
    beforePico: BigInt(row.beforePico),
    afterPico: BigInt(row.afterPico),
  }))

/** The newest run of a workspace, as SQL answers it; null before the first. */
export type LastRun = { closingResiduePico: string; frozenAtMs: number } | null

/** What the workspace's last run left: the fraction of a cent, or the amount that was too small to charge. */
export const residueOf = (last: LastRun): bigint => BigInt(last?.closingResiduePico ?? 0)

export async function openingResidue(tx: Tx, workspaceId: string): Promise<bigint> {
  const [row] = await tx.$queryRaw<{ last: LastRun }[]>`SELECT last_invoice_run(${workspaceId}::uuid) AS last`
  return residueOf(row?.last ?? null)
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
 * lose another. `last` was read under the ledger's exclusive lock.
 */
export const frozenAfter = (last: LastRun, now: Date): Date =>
  last && last.frozenAtMs >= now.getTime() ? new Date(last.frozenAtMs + 1) : now
