import { invalid, missing } from './errors.ts'

export interface PageParams {
  limit?: number
  starting_after?: string
  ending_before?: string
}

type Instant = number | { gt?: number; gte?: number; lt?: number; lte?: number } | undefined

/** One page of `all`, which is in list order already. The default of 10 holds: a caller that forgets to page must notice. */
export function pageOf<T extends { id: string }>(all: T[], params: PageParams, url: string) {
  const limit = params.limit ?? 10
  if (limit < 1 || limit > 100) throw invalid('Limit must be between 1 and 100', 'parameter_invalid_integer', 'limit')
  if (params.starting_after && params.ending_before) {
    throw invalid('You may only specify one of these parameters: starting_after, ending_before.')
  }
  let from = 0
  let to = all.length
  if (params.starting_after) from = indexOf(all, params.starting_after, 'starting_after') + 1
  if (params.ending_before) to = indexOf(all, params.ending_before, 'ending_before')
  const data = params.ending_before ? all.slice(Math.max(0, to - limit), to) : all.slice(from, from + limit)
  const has_more = params.ending_before ? to > limit : from + limit < all.length
  return { object: 'list' as const, data, has_more, url }
}

export function newestFirst<T extends { sequence: number }>(records: Record<string, T>): T[] {
  return Object.values(records).sort((a, b) => b.sequence - a.sequence)
}

export function createdWithin(created: number, filter: Instant): boolean {
  if (filter === undefined) return true
  if (typeof filter === 'number') return created === filter
  const { gt = -Infinity, gte = -Infinity, lt = Infinity, lte = Infinity } = filter
  return created > gt && created >= gte && created < lt && created <= lte
}

function indexOf(all: { id: string }[], id: string, param: string): number {
  const index = all.findIndex((item) => item.id === id)
  if (index < 0) throw missing('object', id, param)
  return index
}
