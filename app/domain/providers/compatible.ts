import type { Endpoint, KeyFormat, Provider, ProviderId, Route } from './provider.ts'

/** A route on which the caller's bytes go on as they are. */
export const plainRoute = (path: string): Route => ({ dialect: 'openai', path: () => path })

const endpointPaths: Record<Endpoint, string> = {
  chat: '/chat/completions',
  responses: '/responses',
  embeddings: '/embeddings',
  rerank: '/rerank',
}

/** Plain routes at the places where OpenAI has them. */
export const plainRoutes = (endpoints: Endpoint[]): Provider['routes'] =>
  Object.fromEntries(endpoints.map((endpoint) => [endpoint, plainRoute(endpointPaths[endpoint])]))

/** A key without a documented form: any text of a plausible length (providers §0.2). */
export const anyKey = (prefixes: string[] = [], telling: string | null = null): KeyFormat => ({
  requiredPrefix: null,
  publicPrefixes: prefixes,
  tellingPrefix: telling,
  minLength: 8,
  maxLength: 512,
})

type Compatible = Partial<Omit<Provider, 'id' | 'name' | 'baseUrl' | 'callerNames'>> & {
  id: ProviderId
  name: string
  baseUrl: string
  /** Names beside the id. */
  aliases?: string[]
  /** Beside chat. */
  endpoints?: Endpoint[]
}

/**
 * The row of a provider that speaks OpenAI's format under a bearer key. Everything else has the default that is safe for a
 * provider of which nothing more is known: usage is asked for, its bill is not believed, and a key is proven by the list of
 * models only where a made-up key is refused there.
 */
export function compatible({ id, name, baseUrl, aliases = [], endpoints = [], ...different }: Compatible): Provider {
  return {
    id,
    name,
    callerNames: [id, ...aliases],
    credential: 'key',
    keyFormat: anyKey(),
    baseUrl,
    auth: 'bearer',
    headers: [],
    routes: plainRoutes(['chat', ...endpoints]),
    streamUsage: 'ask',
    limitName: 'max_tokens',
    knownMembers: null,
    reportsCost: false,
    generation: null,
    nativeModels: null,
    authors: [],
    servesEveryAuthor: false,
    proof: { by: 'differential' },
    models: { at: { base: null, path: '/models' }, shape: 'openai', public: false, prices: null },
    balance: null,
    priceTable: null,
    ...different,
  }
}
