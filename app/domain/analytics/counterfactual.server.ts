import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import type { PlanRules } from '#app/domain/plans/plans.ts'
import { listPlans } from '#app/domain/plans/queries.server.ts'
import { inTenant } from '#app/platform/db.server.ts'
import {
  type ModeSums,
  noModeSums,
  type Scenario,
  type SurfaceSums,
  scenarioOf,
  scenariosOf,
} from './counterfactual.ts'
import {
  type CountedDay,
  countedDays,
  type DaySums,
  shareColumns,
  shareOfDay,
} from './internal/counterfactual-days.server.ts'

const DAY_MS = 86_400_000
const spanDays = 30
/** More calls than this are not gone through while a page that asks for something else waits. */
const mostBeside = 1_000_000
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
  /** What the workspace is billed in. Providers bill in USD: in any other currency there is no common sum, and no scenario. */
  currency: string
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

const sumNames = [
  'calls',
  'untiered',
  'unknown_cost',
  'unmarked_free',
  'tier_price',
  'raw_cost',
  'margin',
  'floored',
] as const

function toModeSums(days: DaySums[], shares: number[]): ModeSums {
  if (!days.length) return noModeSums
  const sum = (of: (day: DaySums) => bigint) => days.reduce((total, day) => total + of(day), 0n)
  const [calls, untiered, unknown, free, tierPrice, rawCost, margin, floored] = sumNames.map((name) =>
    sum((day) => BigInt(day[name] ?? '0')),
  ) as [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint]
  return {
    calls,
    untieredCalls: untiered,
    unknownCostCalls: unknown,
    unmarkedFreeCalls: free,
    tierPricePico: tierPrice,
    rawCostPico: rawCost,
    marginPico: margin,
    flooredCalls: floored,
    sharesPico: new Map(shares.map((bp) => [bp, sum((day) => shareOfDay(day, bp))])),
  }
}

/** Every share that any plan takes: one count of a day serves them all. */
const sharesOf = (plans: PlanRules[]): number[] => [
  ...new Set(plans.flatMap((plan) => [plan.platformMarkupBp, plan.workspaceMarkupBp])),
]

const sumsOf = (days: CountedDay[], shares: number[]): SurfaceSums => ({
  background: toModeSums(
    days.flatMap(({ background }) => (background ? [background] : [])),
    shares,
  ),
  others: toModeSums(
    days.flatMap(({ others }) => (others ? [others] : [])),
    shares,
  ),
})

/** Models with the most of the odd calls first. */
function named(days: CountedDay[], which: 'untiered' | 'unknownCost'): NamedCalls[] {
  const counts = new Map<string, number>()
  for (const { odd } of days)
    for (const row of odd) if (row[which] > 0) counts.set(row.model, (counts.get(row.model) ?? 0) + row[which])
  return [...counts]
    .sort(([a, most], [b, more]) => more - most || (a < b ? -1 : 1))
    .slice(0, mostNamed)
    .map(([model, calls]) => ({ model, calls: String(calls) }))
}

/**
 * The workspace's last 30 days under every way to be charged that the catalogue has, from its real calls, exactly (design §9).
 * Calls that a mode cannot price are counted and named, never taken for free.
 */
export async function getCounterfactual(ctx: Ctx): Promise<Counterfactual> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:InferenceCall', { workspaceId })
  const days = span(ctx.now())
  const { planId, currency, plans } = await inTenant({ workspaceId }, async (tx) => ({
    ...(await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, select: { planId: true, currency: true } })),
    plans: await listPlans(tx),
  }))
  const shares = sharesOf(plans)
  const counted = (await countedDays(workspaceId, days, shareColumns(shares))) ?? []
  const sums = sumsOf(counted, shares)
  return {
    ...days,
    calls: sums.background.calls + sums.others.calls,
    currency,
    sums,
    scenarios: currency === 'usd' ? scenariosOf(plans, planId, sums) : [],
    untiered: named(counted, 'untiered'),
    unknownCost: named(counted, 'unknownCost'),
  }
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
 * @returns null where there are too many calls to go through beside something else (the page "Pricing" takes its time), and for a
 * workspace that is not billed in USD
 */
export async function comparePlan(ctx: Ctx, planId: string | null = null): Promise<PlanComparison | null> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:InferenceCall', { workspaceId })
  const days = span(ctx.now())
  const { plans, ...workspace } = await inTenant({ workspaceId }, async (tx) => ({
    ...(await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, select: { planId: true, currency: true } })),
    plans: await listPlans(tx),
  }))
  if (workspace.currency !== 'usd') return null
  const plan = plans.find(({ id }) => id === (planId ?? workspace.planId))
  const shares = sharesOf(plans)
  const counted = plan && (await countedDays(workspaceId, days, shareColumns(shares), mostBeside))
  if (!counted) return null
  const sums = sumsOf(counted, shares)
  return { ...days, platform: scenarioOf(plan, false, sums), ownKey: scenarioOf(plan, true, sums) }
}
