import { looksForOwnKey } from '#app/domain/plans/plans.ts'
import type { Catalogue } from '#app/domain/pricing/queries.server.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { callableModels } from '#app/domain/tokens/callable-models.ts'
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

const ownerOf = (id: string, provider: ProviderId): string => (id.includes('/') ? (id.split('/')[0] ?? '') : provider)

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
  const hosted = { models: catalogue.models, index: hostedIndex(catalogue) }
  return [...callableModels({ ...admission, keys }, hosted)].map(({ id, listed, row, provider }) => {
    const served = provider ?? platformProvider
    return {
      id,
      object: 'model',
      created: 0,
      owned_by: ownerOf(listed, served),
      name: row?.name ?? `${listed} at ${providerOf(served).name}`,
      ...(row ? { tier: row.tier } : {}),
      key_source: provider ? 'workspace' : 'platform',
      provider: served,
    }
  })
}

/** The body of `GET /v1/models`. */
export const modelsJson = (models: ListedModel[]): string => JSON.stringify({ object: 'list', data: models })
