import type { Tx } from '#app/platform/db.server.ts'
import type { PlanRules } from './plans.ts'

type PlanRow = {
  id: string
  name: string
  rank: number
  allowedProviders: string[]
  platformChargeMode: string
  workspaceChargeMode: string
  providerPrecedence: string[]
}

/** The catalogue row as the rules read it. The modes are checked by the catalogue loader and again by the ledger's CHECK. */
export const toPlanRules = (row: PlanRow): PlanRules => row as PlanRules

/** All plans, lowest first. */
export async function listPlans(tx: Tx): Promise<PlanRules[]> {
  const rows = await tx.plan.findMany({ orderBy: { rank: 'asc' } })
  return rows.map(toPlanRules)
}

/** The plan that a Stripe product stands for. @returns null for a product nobody mapped: keep the last plan and alert */
export async function planOfProduct(tx: Tx, productId: string): Promise<PlanRules | null> {
  const row = await tx.planProduct.findUnique({ where: { productId }, include: { plan: true } })
  return row && toPlanRules(row.plan)
}
