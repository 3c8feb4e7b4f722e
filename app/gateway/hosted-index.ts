import type { Catalogue } from '#app/domain/pricing/queries.server.ts'
import { indexModels, type ModelIndex } from '#app/domain/providers/model-ids.ts'

const indexes = new WeakMap<Catalogue, ModelIndex>()

/** The catalogue's model ids, ready to be searched; built once per catalogue that was read. */
export function hostedIndex(catalogue: Catalogue): ModelIndex {
  const known = indexes.get(catalogue)
  if (known) return known
  const index = indexModels(catalogue.models.keys())
  indexes.set(catalogue, index)
  return index
}
