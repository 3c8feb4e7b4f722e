import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { planAllowsProvider } from '#app/domain/plans/plans.ts'
import { toPlanRules } from '#app/domain/plans/queries.server.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import type { UsableKey } from '#app/domain/providers/choose-key.ts'
import { indexModels } from '#app/domain/providers/model-ids.ts'
import { isProviderId } from '#app/domain/providers/provider.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { callableModels, exampleModel } from './callable-models.ts'

/** Where a call comes from that does not say so. */
const defaultSurface = 'agent_run'

export interface ExampleModel {
  /** One that `GET /v1/models` lists; null: it lists none that holds a conversation. */
  model: string | null
  /** There is a provider key that calls may use: without a model, its provider lists none. */
  hasKey: boolean
}

/** A model that this workspace can call now, for the programs that are offered for pasting. */
export async function findExampleModel(ctx: Ctx): Promise<ExampleModel> {
  authorize(ctx, 'read:GatewayToken', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  const { models } = await loadCatalogue()
  const { workspace, rows } = await inTenant({ workspaceId }, async (tx) => ({
    workspace: await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, include: { plan: true } }),
    rows: await tx.providerKey.findMany({
      where: { workspaceId, enabled: true },
      orderBy: [{ position: 'asc' }, { createdAt: 'asc' }, { id: 'asc' }],
      select: { id: true, provider: true, version: true, allowedModels: true, allowedSurfaces: true, models: true },
    }),
  }))
  const plan = toPlanRules(workspace.plan)
  const keys = rows.flatMap(({ provider, allowedSurfaces, version, models: list, ...key }): UsableKey[] => {
    if (!isProviderId(provider) || !planAllowsProvider(plan, provider)) return []
    if (allowedSurfaces.length > 0 && !allowedSurfaces.includes(defaultSurface)) return []
    return [{ ...key, provider, models: list?.keyVersion === version ? indexModels(list.models) : null }]
  })
  const callable = { plan, neverPlatformKey: workspace.neverPlatformKey, keys }
  const hosted = { models, index: indexModels(models.keys()) }
  return { model: exampleModel(callableModels(callable, hosted)), hasKey: keys.length > 0 }
}
