/** Providers that a workspace may hold a key for. The registry below has one row per id. */
export type ProviderId = 'openrouter'

/** How the text of a key must look before anything is asked of the provider. Lengths in characters. */
export interface KeyFormat {
  /** The documented public prefix, and the only gate by prefix there is (providers §0.2). */
  prefix: string
  prefixMessage: string
  minLength: number
  maxLength: number
}

export interface Provider {
  id: ProviderId
  name: string
  /** Origin and path in front of every route; an operator may replace it, a user never. */
  baseUrl: string
  keyFormat: KeyFormat
  /** The cheapest request that proves a key is alive. */
  probe: { method: 'GET'; path: string }
  routes: { chat: string; models: string; generation: string }
  dialect: 'openai-chat'
  /** `always`: usage closes every stream, asked for or not, so request bytes need no splicing (providers §1.6). */
  streamUsage: 'always'
  /** The provider's own bill may be believed: only ever true for hosts pinned here (security F10). */
  reportsCost: boolean
  /** Response header that names the generation. */
  generationHeader: string
}

const openrouter: Provider = {
  id: 'openrouter',
  name: 'OpenRouter',
  baseUrl: 'https://openrouter.ai/api/v1',
  keyFormat: {
    prefix: 'sk-or-',
    prefixMessage: "OpenRouter keys must start with 'sk-or-'",
    minLength: 20,
    maxLength: 512,
  },
  probe: { method: 'GET', path: '/key' },
  routes: { chat: '/chat/completions', models: '/models', generation: '/generation' },
  dialect: 'openai-chat',
  streamUsage: 'always',
  reportsCost: true,
  generationHeader: 'x-generation-id',
}

const registry: Readonly<Record<ProviderId, Provider>> = { openrouter }

export const providerIds = Object.keys(registry) as ProviderId[]

export const isProviderId = (text: string): text is ProviderId => Object.hasOwn(registry, text)

export const providerOf = (id: ProviderId): Provider => registry[id]
