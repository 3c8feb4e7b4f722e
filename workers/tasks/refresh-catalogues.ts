import { refreshCatalogues } from '#app/domain/operations/refresh-catalogues.server.ts'
import type { Task } from '../task.ts'

export const refreshPriceLists: Task<'refresh-catalogues'> = async (_, { now }) => {
  await refreshCatalogues(now())
}
