import { Prisma } from '#app/generated/prisma/client.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'

/** Sums over the calls of one day and one kind of surface, by name; integers as text. */
export type DaySums = Record<string, string>

/** Calls of one model that some mode cannot price. */
export interface OddCalls {
  model: string
  untiered: number
  unknownCost: number
}

export interface CountedDay {
  background: DaySums | null
  others: DaySums | null
  odd: OddCalls[]
}

export interface Days {
  /** UTC days, both inclusive. */
  from: string
  to: string
}

/** Basis points whose share of an amount is nothing, or all of it. */
const [noShare, wholeShare] = [0, 10_000]

/** Shares that must be taken, and rounded, call by call. */
export const shareColumns = (shares: readonly number[]): number[] =>
  [...new Set(shares)].filter((bp) => bp !== noShare && bp !== wholeShare).sort((a, b) => a - b)

/** The sum of a share over all calls of a day. */
export function shareOfDay(sums: DaySums, bp: number): bigint {
  if (bp === noShare) return 0n
  return BigInt(sums[bp === wholeShare ? 'basis' : `share_${bp}`] ?? '0')
}

/** What a markup is taken of: what was noted for the call, else its cost where that is above zero. */
const basis = Prisma.sql`CASE WHEN c.charge_mode = 'markup' THEN c.basis_pico WHEN c.raw_cost_pico > 0 THEN c.raw_cost_pico END`

const isFree = Prisma.sql`c.raw_cost_pico = 0 AND coalesce(c.input_tokens, 0) + coalesce(c.output_tokens, 0) > 0`

/** Rows of a table or entries of it, of one day. */
const ofDay = (workspaceId: string, day: string) => Prisma.sql`
  workspace_id = ${workspaceId}::uuid
    AND dispatched_at >= (${day}::timestamp AT TIME ZONE 'UTC') AND dispatched_at < ((${day}::date + 1)::timestamp AT TIME ZONE 'UTC')`

/** The calls of a day as `c`, with the costs that their providers corrected since. */
const callsOf = (workspaceId: string, day: string) => Prisma.sql`
  (SELECT n.surface, n.model, n.charge_mode, n.input_tokens, n.output_tokens, n.tier_price_pico,
      coalesce(x.raw_cost_pico, n.raw_cost_pico) AS raw_cost_pico, coalesce(x.basis_pico, n.basis_pico) AS basis_pico
    FROM metering.calls_now n
    LEFT JOIN (
      SELECT DISTINCT ON (call_id) call_id, raw_cost_pico, basis_pico FROM metering.call_adjustments
      WHERE ${ofDay(workspaceId, day)} AND corrects_cost ORDER BY call_id, seq DESC) x ON x.call_id = n.id
    WHERE ${ofDay(workspaceId, day)}) c`

/** One pass over the calls of a day. The margin's floor and a share's rounding are per call; everything else is linear. */
function dayQuery(workspaceId: string, day: string, shares: readonly number[]): Prisma.Sql {
  const columns = shares.map(
    (bp) =>
      Prisma.sql`, coalesce(sum(metering.half_even((${basis})::numeric * ${bp}::int, 10000)), 0)::text AS ${Prisma.raw(`share_${bp}`)}`,
  )
  return Prisma.sql`
    SELECT c.surface IN (SELECT s.id FROM surfaces s WHERE s.background) AS background, count(*)::text AS calls,
      count(*) FILTER (WHERE c.tier_price_pico IS NULL)::text AS untiered,
      count(*) FILTER (WHERE c.raw_cost_pico IS NULL)::text AS unknown_cost,
      count(*) FILTER (WHERE c.charge_mode <> 'markup' AND ${isFree})::text AS unmarked_free,
      coalesce(sum(c.tier_price_pico), 0)::text AS tier_price, coalesce(sum(c.raw_cost_pico), 0)::text AS raw_cost,
      coalesce(sum(greatest(0, c.tier_price_pico - c.raw_cost_pico)) FILTER (WHERE c.tier_price_pico IS NOT NULL AND c.raw_cost_pico IS NOT NULL), 0)::text AS margin,
      count(*) FILTER (WHERE c.raw_cost_pico > c.tier_price_pico)::text AS floored, coalesce(sum(${basis}), 0)::text AS basis
      ${columns.length ? Prisma.join(columns, '') : Prisma.empty}
    FROM ${callsOf(workspaceId, day)} GROUP BY 1`
}

async function countDay(tx: Tx, workspaceId: string, day: string, shares: readonly number[]): Promise<CountedDay> {
  const rows = await tx.$queryRaw<(DaySums & { background: never })[]>(dayQuery(workspaceId, day, shares))
  const of = (background: boolean): DaySums | null => {
    const found = rows.find((row) => (row.background as unknown as boolean) === background)
    if (!found) return null
    const { background: _, ...sums } = found
    return sums
  }
  const [background, others] = [of(true), of(false)]
  const isOdd = [background, others].some((sums) => sums && (sums.untiered !== '0' || sums.unknown_cost !== '0'))
  const odd = isOdd
    ? await tx.$queryRaw<OddCalls[]>`
        SELECT c.model, count(*) FILTER (WHERE c.tier_price_pico IS NULL)::float8 AS untiered,
          count(*) FILTER (WHERE c.raw_cost_pico IS NULL)::float8 AS "unknownCost"
        FROM ${callsOf(workspaceId, day)} WHERE c.tier_price_pico IS NULL OR c.raw_cost_pico IS NULL GROUP BY c.model`
    : []
  return { background, others, odd }
}

/**
 * Every day with calls, and what it was when it is read: its rollups, the shares that are asked for and the background surfaces.
 * A call that is settled, and a cost that becomes known, change the rollups in the same transaction. Corrected costs are counted:
 * two that make up for each other in the sums do not in the margins.
 */
const statesQuery = (workspaceId: string, { from, to }: Days, shares: readonly number[]) => Prisma.sql`
  SELECT r.day::text, sum(r.calls)::float8 AS calls,
    md5(concat_ws(' ', ${shares.join(',')}::text, (SELECT string_agg(s.id, ',' ORDER BY s.id) FROM surfaces s WHERE s.background),
      sum(r.calls), sum(r.held_calls), sum(r.input_tokens), sum(r.output_tokens), sum(r.raw_cost_pico), sum(r.tier_price_pico),
      sum(r.charge_pico), sum(r.basis_pico), (SELECT count(*) FROM metering.call_adjustments a
        WHERE a.workspace_id = r.workspace_id AND a.dispatched_at >= r.day::timestamp AT TIME ZONE 'UTC'
          AND a.dispatched_at < (r.day + 1)::timestamp AT TIME ZONE 'UTC' AND a.corrects_cost))) AS state, d.state AS counted, CASE WHEN d.state IS NOT NULL THEN d.sums END AS sums
  FROM metering.call_daily_rollups r
  LEFT JOIN metering.counterfactual_days d ON d.workspace_id = r.workspace_id AND d.day = r.day
  WHERE r.workspace_id = ${workspaceId}::uuid AND r.day BETWEEN ${from}::date AND ${to}::date
  GROUP BY r.workspace_id, r.day, d.state, d.sums ORDER BY r.day`

interface StateRow {
  day: string
  calls: number
  state: string
  counted: string | null
  sums: CountedDay | null
}

/**
 * The sums of each day. A day that is as it was when it was counted is not gone through again; the others are, each in a
 * transaction of its own, and are kept: a workspace with many millions of calls gets on however often it is interrupted.
 * @param mostCalls of days that must be gone through; with more of them the answer is null
 */
export async function countedDays(
  workspaceId: string,
  days: Days,
  shares: readonly number[],
  mostCalls = Number.POSITIVE_INFINITY,
): Promise<CountedDay[] | null> {
  const rows = await inTenant({ workspaceId }, (tx) => tx.$queryRaw<StateRow[]>(statesQuery(workspaceId, days, shares)))
  const stale = rows.filter(({ state, counted }) => state !== counted)
  if (stale.reduce((sum, { calls }) => sum + calls, 0) > mostCalls) return null
  const counted: CountedDay[] = []
  for (const { day, state, counted: before, sums } of rows)
    counted.push(sums && state === before ? sums : await countAndKeep(workspaceId, { day, state, shares, days }))
  return counted
}

interface DayToCount {
  day: string
  /** Read before its calls are: one that is settled meanwhile has the day counted again next time. */
  state: string
  shares: readonly number[]
  days: Days
}

const countAndKeep = (workspaceId: string, { day, state, shares, days }: DayToCount): Promise<CountedDay> =>
  inTenant({ workspaceId }, async (tx) => {
    const fresh = await countDay(tx, workspaceId, day, shares)
    await tx.$executeRaw`
      INSERT INTO metering.counterfactual_days (workspace_id, day, state, sums) VALUES (${workspaceId}::uuid, ${day}::date, ${state}, ${JSON.stringify(fresh)}::jsonb)
      ON CONFLICT (workspace_id, day) DO UPDATE SET state = excluded.state, sums = excluded.sums`
    await tx.$executeRaw`DELETE FROM metering.counterfactual_days WHERE workspace_id = ${workspaceId}::uuid AND day < ${days.from}::date`
    return fresh
  })
