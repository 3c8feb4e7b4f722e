import type { Catalogue, ModelRow } from '#app/domain/pricing/queries.server.ts'

/** OpenAI's model object. `created` is unknown to us and constant, so that answers can be compared. */
const toModel = (model: ModelRow) => ({
  id: model.id,
  object: 'model',
  created: 0,
  owned_by: model.id.split('/')[0] ?? '',
  name: model.name,
  tier: model.tier,
})

/** The body of `GET /v1/models`, or of one model; null when it is not offered. */
export function modelsJson(catalogue: Pick<Catalogue, 'models'>, id: string | null): string | null {
  if (id === null) return JSON.stringify({ object: 'list', data: [...catalogue.models.values()].map(toModel) })
  const model = catalogue.models.get(id)
  return model ? JSON.stringify(toModel(model)) : null
}
