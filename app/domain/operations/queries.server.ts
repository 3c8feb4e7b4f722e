import { SILENCE_MAX_S } from '#app/domain/jobs/heartbeat.server.ts'
import { findOpenJobs, findProcesses, type JobRow, type ProcessRow } from '#app/domain/jobs/queries.server.ts'
import { authorize, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import type { PlanRules } from '#app/domain/plans/plans.ts'
import { listPlans } from '#app/domain/plans/queries.server.ts'
import { type PriceStanding, standingOf } from '#app/domain/pricing/price-standing.ts'
import type { PriceBook } from '#app/domain/pricing/pricing.ts'
import { loadCatalogue, type ModelRow, type Surface } from '#app/domain/pricing/queries.server.ts'
import { inSystem } from '#app/platform/db.server.ts'

const platform = { workspaceId: '*' }

export interface AlertRow {
  id: string
  kind: string
  workspaceName: string | null
  message: string
  raisedAt: string
  lastSeenAt: string
  occurrences: number
}

export interface Health {
  jobs: JobRow[]
  processes: (ProcessRow & { alive: boolean })[]
  alerts: AlertRow[]
}

/** Jobs that are not done, processes, and alerts that nobody resolved. */
export async function readHealth(ctx: OperatorCtx): Promise<Health> {
  authorize(ctx, 'operate:Platform', platform)
  return inSystem(async (tx) => {
    const alerts = await tx.alert.findMany({ where: { resolvedAt: null }, orderBy: { lastSeenAt: 'desc' }, take: 200 })
    const workspaceIds = alerts.flatMap((alert) => alert.workspaceId ?? [])
    const workspaces = await tx.workspace.findMany({
      where: { id: { in: workspaceIds } },
      select: { id: true, name: true },
    })
    const names = new Map(workspaces.map((workspace) => [workspace.id, workspace.name]))
    const processes = await findProcesses(tx, ctx.now())
    return {
      jobs: await findOpenJobs(tx),
      processes: processes.map((one) => ({ ...one, alive: one.silentS <= SILENCE_MAX_S })),
      alerts: alerts.map((alert) => ({
        id: alert.id,
        kind: alert.kind,
        workspaceName: (alert.workspaceId && names.get(alert.workspaceId)) || null,
        message: alert.message,
        raisedAt: alert.raisedAt.toISOString(),
        lastSeenAt: alert.lastSeenAt.toISOString(),
        occurrences: alert.occurrences,
      })),
    }
  })
}

export interface OperatorCatalogue {
  plans: (PlanRules & { products: string[]; workspaces: number })[]
  /** Stripe products that are sold beside plans and entitle to none. */
  addOns: { productId: string; name: string }[]
  /** Newest first, each with how its prices stand now. */
  books: (PriceBook & { workspaceName: string | null; standing: PriceStanding[] })[]
  models: ModelRow[]
  surfaces: Surface[]
}

/** Plans, prices, models and surfaces as the system works with them now. */
export async function readOperatorCatalogue(ctx: OperatorCtx): Promise<OperatorCatalogue> {
  authorize(ctx, 'operate:Platform', platform)
  const { books, models, surfaces } = await loadCatalogue()
  const at = ctx.now()
  const { plans, addOns, names } = await inSystem(async (tx) => {
    const products = await tx.planProduct.findMany({ orderBy: { productId: 'asc' } })
    const counts = await tx.workspace.groupBy({ by: ['planId'], _count: { _all: true } })
    const plans = (await listPlans(tx)).map((plan) => ({
      ...plan,
      products: products.filter((product) => product.planId === plan.id).map((product) => product.productId),
      workspaces: counts.find((count) => count.planId === plan.id)?._count._all ?? 0,
    }))
    const whose = books.flatMap((book) => book.workspaceId ?? [])
    const owners = await tx.workspace.findMany({ where: { id: { in: whose } }, select: { id: true, name: true } })
    const names = new Map(owners.map(({ id, name }) => [id, name]))
    return { plans, addOns: await tx.addOnProduct.findMany({ orderBy: { productId: 'asc' } }), names }
  })
  return {
    plans,
    addOns,
    books: books
      .toSorted((a, b) => b.effectiveFrom.getTime() - a.effectiveFrom.getTime())
      .map((book) => ({
        ...book,
        workspaceName: book.workspaceId && (names.get(book.workspaceId) ?? book.workspaceId),
        standing: standingOf(book, books, at),
      })),
    models: [...models.values()],
    surfaces: [...surfaces.values()],
  }
}
