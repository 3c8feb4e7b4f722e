import { looksForOwnKey, needsTier, platformServes } from '#app/domain/plans/plans.ts'
import type { Catalogue, ModelRow } from '#app/domain/pricing/queries.server.ts'
import { chooseKey } from '#app/domain/providers/choose-key.ts'
import { matchModel } from '#app/domain/providers/model-ids.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import type { Admission } from './admission.server.ts'
import { hostedIndex } from './hosted-index.ts'
import { platformProvider, usableKeys } from './route.server.ts'

/** OpenAI's model object. `created` is unknown to us and constant, so that answers can be compared. */
interface ListedModel {
  id: string
  object: 'model'
  created: 0
  owned_by: string
  name: string
  tier?: string
  /** Whose key pays, and who serves it, when it is called by this id. */
  key_source: 'platform' | 'workspace'
  provider: ProviderId
}

type Served = Pick<ListedModel, 'key_source' | 'provider'>
type Keys = Awaited<ReturnType<typeof usableKeys>>

const ownerOf = (id: string, provider: ProviderId): string => (id.includes('/') ? (id.split('/')[0] ?? '') : provider)

function hostedRow(catalogue: Catalogue, id: string): ModelRow | undefined {
  const match = matchModel(id, hostedIndex(catalogue))
  return match.kind === 'found' ? catalogue.models.get(match.model) : undefined
}

/** Who takes a chat by this id, as a call would be routed; null for nobody. */
function servedBy(id: string, admission: Admission, catalogue: Catalogue, keys: Keys): Served | null {
  const hosted = hostedRow(catalogue, id)
  const onPlatform = hosted !== undefined && platformServes(admission)
  const { providerPrecedence: precedence, workspaceChargeMode } = admission.plan
  const question = { model: id, endpoint: 'chat' as const, forced: null, keys, precedence, hosted: onPlatform }
  const answer = chooseKey(question)
  if (answer.kind === 'none') return onPlatform ? { key_source: 'platform', provider: platformProvider } : null
  if (answer.kind === 'refused') return null
  const priced = !needsTier(workspaceChargeMode) || hosted || hostedRow(catalogue, answer.model)
  return priced ? { key_source: 'workspace', provider: answer.key.provider } : null
}

/** A model that a provider lists for a key goes by its own id where that leads to this provider, else by `provider/id`. */
function* idsOf(catalogue: Catalogue, keys: Keys): Generator<{ id: string; provider: ProviderId | null }> {
  for (const id of catalogue.models.keys()) yield { id, provider: null }
  for (const { provider, models } of keys) for (const id of models?.ids ?? []) yield { id, provider }
}

/**
 * What this token can really call now, on one surface: the models the platform offers, where its key may serve the
 * workspace, and those that the providers of its own enabled keys list for these keys. Each id is put through the routing
 * of a call, so the list cannot promise what a call would not keep.
 */
export async function listModels(admission: Admission, catalogue: Catalogue, surface: string): Promise<ListedModel[]> {
  const own = looksForOwnKey({
    ...admission,
    surfaceIsBackground: catalogue.surfaces.get(surface)?.background ?? false,
  })
  const keys = own ? await usableKeys(admission, { id: surface }) : []
  const models = new Map<string, ListedModel>()
  for (const { id: listed, provider } of idsOf(catalogue, keys)) {
    let id = listed
    let served = servedBy(id, admission, catalogue, keys)
    if (provider !== null && served?.provider !== provider) {
      id = `${provider}/${listed}`
      served = servedBy(id, admission, catalogue, keys)
      if (served?.provider !== provider) continue
    }
    if (!served || models.has(id)) continue
    const hosted = hostedRow(catalogue, listed)
    models.set(id, {
      id,
      object: 'model',
      created: 0,
      owned_by: ownerOf(listed, served.provider),
      name: hosted?.name ?? `${listed} at ${providerOf(served.provider).name}`,
      ...(hosted ? { tier: hosted.tier } : {}),
      ...served,
    })
  }
  return [...models.values()]
}

/** The body of `GET /v1/models`. */
export const modelsJson = (models: ListedModel[]): string => JSON.stringify({ object: 'list', data: models })
