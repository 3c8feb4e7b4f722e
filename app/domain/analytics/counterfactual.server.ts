import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import type { PlanRules } from '#app/domain/plans/plans.ts'
import { listPlans } from '#app/domain/plans/queries.server.ts'
import { Prisma } from '#app/generated/prisma/client.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'
import {
  type ModeSums,
  noModeSums,
  type Scenario,
  type SurfaceSums,
  scenarioOf,
  scenariosOf,
} from './counterfactual.ts'

const DAY_MS = 86_400_000
const spanDays = 30
/** More calls than this are not gone through while a page that asks for something else waits. */
const mostBeside = 1_000_000n
/** Models that are named. */
const mostNamed = 20

export interface NamedCalls {
  model: string
  calls: string
}

export interface Counterfactual {
  /** UTC days, both inclusive. */
  from: string
  to: string
  calls: bigint
  sums: SurfaceSums
  scenarios: Scenario[]
  /** Models in no tier, and models with calls whose cost is not known, busiest first. */
  untiered: NamedCalls[]
  unknownCost: NamedCalls[]
}

/** The last 30 UTC days, today included: the days that the analytics page shows. */
function span(now: Date): { from: string; to: string } {
  const day = (at: number) => new Date(at).toISOString().slice(0, 10)
  return { from: day(now.getTime() - (spanDays - 1) * DAY_MS), to: day(now.getTime()) }
}

const callsOf = (workspaceId: string, { from, to }: { from: string; to: string }) => Prisma.sql`
  metering.calls_now c WHERE c.workspace_id = ${workspaceId}::uuid
    AND c.dispatched_at >= (${from}::timestamp AT TIME ZONE 'UTC') AND c.dispatched_at < ((${to}::date + 1)::timestamp AT TIME ZONE 'UTC')`

/** What a markup is taken of: what was noted for the call, else its cost where that is above zero. */
const basis = Prisma.sql`CASE WHEN c.charge_mode = 'markup' THEN c.basis_pico WHEN c.raw_cost_pico > 0 THEN c.raw_cost_pico END`

const isFree = Prisma.sql`c.raw_cost_pico = 0 AND coalesce(c.input_tokens, 0) + coalesce(c.output_tokens, 0) > 0`

/** One pass over the calls. The margin's floor and a share's rounding are per call; everything else is linear. */
function sumsQuery(workspaceId: string, days: { from: string; to: string }, shares: number[]): Prisma.Sql {
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
      count(*) FILTER (WHERE c.raw_cost_pico > c.tier_price_pico)::text AS floored
      ${columns.length ? Prisma.join(columns, '') : Prisma.empty}
    FROM ${callsOf(workspaceId, days)} GROUP BY 1`
}

type SumsRow = Record<string, string> & { background: never }

function toModeSums(row: SumsRow | undefined, shares: number[]): ModeSums {
  if (!row) return noModeSums
  const big = (name: string) => BigInt((row as Record<string, string>)[name] ?? '0')
  return {
    calls: big('calls'),
    untieredCalls: big('untiered'),
    unknownCostCalls: big('unknown_cost'),
    unmarkedFreeCalls: big('unmarked_free'),
    tierPricePico: big('tier_price'),
    rawCostPico: big('raw_cost'),
    marginPico: big('margin'),
    flooredCalls: big('floored'),
    sharesPico: new Map(shares.map((bp) => [bp, big(`share_${bp}`)])),
  }
}

async function readSums(
  tx: Tx,
  workspaceId: string,
  days: { from: string; to: string },
  plans: PlanRules[],
): Promise<SurfaceSums> {
  const shares = [...new Set(plans.flatMap((plan) => [plan.platformMarkupBp, plan.workspaceMarkupBp]))]
  const rows = await tx.$queryRaw<SumsRow[]>(sumsQuery(workspaceId, days, shares))
  const of = (background: boolean) =>
    toModeSums(
      rows.find((row) => (row.background as unknown as boolean) === background),
      shares,
    )
  return { background: of(true), others: of(false) }
}

const namesOf = (tx: Tx, workspaceId: string, days: { from: string; to: string }, which: Prisma.Sql) => tx.$queryRaw<
  NamedCalls[]
>`
  SELECT c.model, count(*)::text AS calls FROM ${callsOf(workspaceId, days)} AND ${which}
  GROUP BY c.model ORDER BY count(*) DESC, c.model LIMIT ${mostNamed}`

/**
 * The workspace's last 30 days under every way to be charged that the catalogue has, from its real calls, exactly (design §9).
 * Calls that a mode cannot price are counted and named, never taken for free.
 */
export async function getCounterfactual(ctx: Ctx): Promise<Counterfactual> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:InferenceCall', { workspaceId })
  const days = span(ctx.now())
  return inTenant({ workspaceId }, async (tx) => {
    const { planId } = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, select: { planId: true } })
    const plans = await listPlans(tx)
    const sums = await readSums(tx, workspaceId, days, plans)
    const { background, others } = sums
    const untiered = background.untieredCalls + others.untieredCalls
    const unknown = background.unknownCostCalls + others.unknownCostCalls
    return {
      ...days,
      calls: background.calls + others.calls,
      sums,
      scenarios: scenariosOf(plans, planId, sums),
      untiered: untiered ? await namesOf(tx, workspaceId, days, Prisma.sql`c.tier_price_pico IS NULL`) : [],
      unknownCost: unknown ? await namesOf(tx, workspaceId, days, Prisma.sql`c.raw_cost_pico IS NULL`) : [],
    }
  })
}

export interface PlanComparison {
  from: string
  to: string
  /** Null: that plan has no such way. */
  platform: Scenario | null
  ownKey: Scenario | null
}

/**
 * The last 30 days under one plan, without and with keys of the workspace's own.
 * @param planId null: the workspace's plan
 * @returns null where there are too many calls to go through beside something else: the page "Pricing" takes its time
 */
export async function comparePlan(ctx: Ctx, planId: string | null = null): Promise<PlanComparison | null> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:InferenceCall', { workspaceId })
  const days = span(ctx.now())
  return inTenant({ workspaceId }, async (tx) => {
    const workspace = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, select: { planId: true } })
    const plan = (await listPlans(tx)).find(({ id }) => id === (planId ?? workspace.planId))
    const [counted] = await tx.$queryRaw<{ calls: bigint }[]>`
      SELECT coalesce(sum(calls), 0)::bigint AS calls FROM metering.call_daily_rollups
       WHERE workspace_id = ${workspaceId}::uuid AND day BETWEEN ${days.from}::date AND ${days.to}::date`
    if (!plan || (counted?.calls ?? 0n) > mostBeside) return null
    const sums = await readSums(tx, workspaceId, days, [plan])
    return { ...days, platform: scenarioOf(plan, false, sums), ownKey: scenarioOf(plan, true, sums) }
  })
}
