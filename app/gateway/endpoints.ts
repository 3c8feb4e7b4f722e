import type { Endpoint } from '#app/domain/providers/provider.ts'
import type { UsageShape } from '#app/domain/providers/usage.ts'

/** What the gateway knows of each endpoint it serves. */
interface EndpointFacts {
  path: string
  /** The member that holds what the model is asked, its accepted kinds, and whether it may be left out. */
  input: { member: string; kinds: readonly ('array' | 'string')[] }
  alsoRequired: readonly string[]
  canStream: boolean
  usage: UsageShape
}

export const endpoints: Readonly<Record<Endpoint, EndpointFacts>> = {
  chat: {
    path: '/v1/chat/completions',
    input: { member: 'messages', kinds: ['array'] },
    alsoRequired: [],
    canStream: true,
    usage: 'text',
  },
  responses: {
    path: '/v1/responses',
    input: { member: 'input', kinds: ['array', 'string'] },
    alsoRequired: [],
    canStream: true,
    usage: 'text',
  },
  embeddings: {
    path: '/v1/embeddings',
    input: { member: 'input', kinds: ['array', 'string'] },
    alsoRequired: [],
    canStream: false,
    usage: 'input_only',
  },
  rerank: {
    path: '/v1/rerank',
    input: { member: 'documents', kinds: ['array'] },
    alsoRequired: ['query'],
    canStream: false,
    usage: 'input_only',
  },
}

const byPath = new Map(Object.entries(endpoints).map(([endpoint, { path }]) => [path, endpoint as Endpoint]))

/** The endpoint that a path names, exactly as written. */
export const endpointAt = (path: string): Endpoint | null => byPath.get(path) ?? null

export const modelsPath = '/v1/models'

/** Whether a path and query names an endpoint but for its `/v1`: what clients ask for whose base URL lacks it. */
export function lacksVersion(url: string): boolean {
  const path = `/v1${url.split('?', 1)[0]}`
  return path === modelsPath || endpointAt(path) !== null
}
