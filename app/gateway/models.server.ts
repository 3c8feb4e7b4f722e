import {
  chargeModeFor,
  looksForOwnKey,
  needsTier,
  planAllowsProvider,
  platformServes,
} from '#app/domain/plans/plans.ts'
import type { Catalogue } from '#app/domain/pricing/queries.server.ts'
import { matchModel } from '#app/domain/providers/model-ids.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import type { Admission } from './admission.server.ts'
import { hostedIndex } from './hosted-index.ts'
import { modelsOfKey } from './key-models.server.ts'
import { platformProvider } from './route.server.ts'

/** OpenAI's model object. `created` is unknown to us and constant, so that answers can be compared. */
interface ListedModel {
  id: string
  object: 'model'
  created: 0
  owned_by: string
  name?: string
  tier?: string
  /** Whose key pays, and who serves it, when it is called by this id. */
  key_source: 'platform' | 'workspace'
  provider: ProviderId
}

const ownerOf = (id: string, provider: ProviderId): string => (id.includes('/') ? (id.split('/')[0] ?? '') : provider)

/** Ids under which several providers list a model stay with the first; the others are named `provider/id`. */
function add(
  models: Map<string, ListedModel>,
  id: string,
  model: Omit<ListedModel, 'id' | 'object' | 'created'>,
): void {
  const name = models.has(id) ? `${model.provider}/${id}` : id
  if (!models.has(name)) models.set(name, { id: name, object: 'model', created: 0, ...model })
}

/**
 * What this token can really call now: the models the platform offers, where its key may serve the workspace, and those
 * that the providers of its own enabled keys list for these keys. A model that the plan cannot price is left out.
 */
export async function listModels(admission: Admission, catalogue: Catalogue): Promise<ListedModel[]> {
  const models = new Map<string, ListedModel>()
  const platform = platformServes(admission)
  const own = looksForOwnKey({ ...admission, surfaceIsBackground: false })
  const keys = own ? admission.keys.filter((key) => planAllowsProvider(admission.plan, key.provider)) : []
  const openrouterKey = keys.some((key) => key.provider === platformProvider)
  if (platform || openrouterKey)
    for (const { id, name, tier } of catalogue.models.values())
      add(models, id, {
        owned_by: ownerOf(id, platformProvider),
        name,
        tier,
        key_source: openrouterKey ? 'workspace' : 'platform',
        provider: platformProvider,
      })
  const tiersOnly = needsTier(chargeModeFor(admission.plan, 'workspace'))
  for (const key of keys) {
    const index = await modelsOfKey(admission.workspaceId, key).catch(() => null)
    for (const id of index?.ids ?? []) {
      if (key.allowedModels.length > 0 && !key.allowedModels.includes(id)) continue
      const match = matchModel(id, hostedIndex(catalogue))
      const hosted = match.kind === 'found' ? catalogue.models.get(match.model) : undefined
      if (tiersOnly && !hosted) continue
      if (key.provider === platformProvider && catalogue.models.has(id)) continue
      const tier = hosted && { tier: hosted.tier }
      add(models, id, {
        owned_by: ownerOf(id, key.provider),
        name: hosted?.name ?? `${id} at ${providerOf(key.provider).name}`,
        ...tier,
        key_source: 'workspace',
        provider: key.provider,
      })
    }
  }
  return [...models.values()]
}

/** The body of `GET /v1/models`. */
export const modelsJson = (models: ListedModel[]): string => JSON.stringify({ object: 'list', data: models })
