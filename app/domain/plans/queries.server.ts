import type { Tx } from '#app/platform/db.server.ts'
import { type Pico, parsePico } from '#app/platform/pico.ts'
import type { PlanRules, ProductMeaning } from './plans.ts'

/** Decimals as Prisma gives them; the gateway, which reads rows itself, has their text. */
type Amount = string | { toFixed(places: number): string }

/** A row of `plans`, whoever read it. */
export interface PlanRow {
  id: string
  name: string
  rank: number
  allowedProviders: string[]
  platformChargeMode: string
  workspaceChargeMode: string
  providerPrecedence: string[]
  platformMarkupBp: number
  workspaceMarkupBp: number
  keyFeeUsd: Amount
  keyFeeProration: string
  monthlyCreditsUsd: Amount
  minimumCreditsUsd: Amount
  creditOverage: string
}

function pico(amount: Amount): Pico {
  const value = parsePico(typeof amount === 'string' ? amount : amount.toFixed(18))
  if (value === undefined) throw new Error('a plan holds an amount that is no number')
  return value
}

/** The catalogue row as the rules read it. Modes and policies are checked by the table itself. */
export const toPlanRules = (row: PlanRow): PlanRules =>
  ({
    id: row.id,
    name: row.name,
    rank: row.rank,
    allowedProviders: row.allowedProviders,
    platformChargeMode: row.platformChargeMode,
    workspaceChargeMode: row.workspaceChargeMode,
    providerPrecedence: row.providerPrecedence,
    platformMarkupBp: row.platformMarkupBp,
    workspaceMarkupBp: row.workspaceMarkupBp,
    keyFeePico: pico(row.keyFeeUsd),
    keyFeeProration: row.keyFeeProration,
    monthlyCreditsPico: pico(row.monthlyCreditsUsd),
    minimumCreditsPico: pico(row.minimumCreditsUsd),
    creditOverage: row.creditOverage,
  }) as PlanRules

/** All plans, lowest first. */
export async function listPlans(tx: Tx): Promise<PlanRules[]> {
  const rows = await tx.plan.findMany({ orderBy: { rank: 'asc' } })
  return rows.map(toPlanRules)
}

/** @returns what each of these products stands for */
export async function meaningOfProducts(tx: Tx, productIds: string[]): Promise<Map<string, ProductMeaning>> {
  const where = { productId: { in: productIds } }
  const plans = await tx.planProduct.findMany({ where, include: { plan: true } })
  const addOns = await tx.addOnProduct.findMany({ where })
  return new Map<string, ProductMeaning>([
    ...productIds.map((id): [string, null] => [id, null]),
    ...addOns.map(({ productId }): [string, 'add_on'] => [productId, 'add_on']),
    ...plans.map(({ productId, plan }): [string, PlanRules] => [productId, toPlanRules(plan)]),
  ])
}
