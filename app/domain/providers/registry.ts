import { anyKey, compatible, plainRoute, plainRoutes } from './compatible.ts'
import { nativeRows } from './native-rows.ts'
import { type ModelList, type Provider, type ProviderId, providerIds } from './provider.ts'

const list = (prices: ModelList['prices'], open: boolean): ModelList => ({
  at: { base: null, path: '/models' },
  shape: 'openai',
  public: open,
  prices,
})

/** Members of a chat request that NVIDIA's strict schema knows; any other is a 400 there (providers §2.2). */
const nvidiaMembers = [
  'model',
  'messages',
  'stream',
  'max_tokens',
  'temperature',
  'top_p',
  'n',
  'stop',
  'seed',
  'frequency_penalty',
  'presence_penalty',
  'logit_bias',
  'logprobs',
  'top_logprobs',
  'tools',
  'tool_choice',
  'response_format',
  'reasoning_effort',
  'chat_template_kwargs',
  'nvext',
  'user',
] as const

const crofUsage = { base: 'https://crof.ai', path: '/usage_api/' }
const chutesUser = { base: 'https://api.chutes.ai', path: '/users/me' }
const vercelCredits = { base: null, path: '/credits' }
const novitaBalance = { base: 'https://api.novita.ai', path: '/openapi/v1/billing/balance/detail' }
const deepseekBalance = { base: null, path: '/user/balance' }

/** Providers that speak OpenAI's format: one row each (providers §2). */
const compatibleRows: Provider[] = [
  compatible({
    id: 'crof',
    name: 'CrofAI',
    aliases: ['crofai', 'nahcrof'],
    baseUrl: 'https://crof.ai/v1',
    endpoints: ['embeddings'],
    proof: { by: 'request', at: crofUsage, read: 'crof', fallBack: 'chat' },
    models: list('crof', true),
    balance: { at: crofUsage, read: 'crof' },
  }),
  compatible({
    id: 'openai',
    name: 'OpenAI',
    baseUrl: 'https://api.openai.com/v1',
    keyFormat: anyKey(['sk-proj-', 'sk-svcacct-', 'sk-'], 'sk-proj-'),
    endpoints: ['responses', 'embeddings'],
    limitName: 'max_completion_tokens',
    proof: { by: 'models' },
    nativeModels: /^(?:gpt-(?!oss)|chatgpt-|o[134](?:-|$)|text-embedding-)/,
    authors: ['openai'],
    priceTable: 'openai',
  }),
  compatible({
    id: 'openai-responses',
    name: 'OpenAI Responses',
    baseUrl: 'https://api.openai.com/v1',
    keyFormat: anyKey(['sk-proj-', 'sk-svcacct-', 'sk-']),
    routes: { chat: { dialect: 'openai-responses', path: () => '/responses' }, responses: plainRoute('/responses') },
    streamUsage: 'always',
    proof: { by: 'models' },
    nativeModels: /^(?:gpt-(?!oss)|chatgpt-|o[134](?:-|$))/,
    authors: ['openai'],
    priceTable: 'openai',
  }),
  compatible({
    id: 'google',
    name: 'Google AI Studio',
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai',
    keyFormat: anyKey(['AIza', 'AQ.'], 'AIza'),
    endpoints: ['embeddings'],
    proof: {
      by: 'request',
      at: {
        base: 'https://generativelanguage.googleapis.com',
        path: '/v1beta/models?pageSize=1',
        auth: 'x-goog-api-key',
      },
      read: 'google',
    },
    models: {
      at: {
        base: 'https://generativelanguage.googleapis.com',
        path: '/v1beta/models?pageSize=1000',
        auth: 'x-goog-api-key',
      },
      shape: 'google',
      public: false,
      prices: null,
    },
    nativeModels: /^(?:gemini-|gemma-)/,
    authors: ['google'],
    priceTable: 'google',
  }),
  compatible({
    id: 'xai',
    name: 'xAI',
    baseUrl: 'https://api.x.ai/v1',
    keyFormat: anyKey(['xai-'], 'xai-'),
    endpoints: ['responses'],
    proof: { by: 'request', at: { base: null, path: '/api-key' }, read: 'xai' },
    nativeModels: /^grok-/,
    authors: ['x-ai', 'xai'],
    priceTable: 'x-ai',
  }),
  compatible({
    id: 'deepseek',
    name: 'DeepSeek',
    baseUrl: 'https://api.deepseek.com',
    keyFormat: anyKey(['sk-']),
    proof: { by: 'request', at: deepseekBalance, read: 'deepseek' },
    balance: { at: deepseekBalance, read: 'deepseek' },
    nativeModels: /^deepseek-/,
    authors: ['deepseek'],
    priceTable: 'deepseek',
  }),
  compatible({
    id: 'groq',
    name: 'Groq',
    baseUrl: 'https://api.groq.com/openai/v1',
    keyFormat: anyKey(['gsk_'], 'gsk_'),
    endpoints: ['responses'],
    proof: { by: 'models' },
    priceTable: 'groq',
  }),
  compatible({
    id: 'fireworks',
    name: 'Fireworks',
    baseUrl: 'https://api.fireworks.ai/inference/v1',
    keyFormat: anyKey(['fw_']),
    endpoints: ['responses', 'embeddings'],
    proof: { by: 'models' },
    nativeModels: /^accounts\//,
    priceTable: 'fireworks',
  }),
  compatible({
    id: 'together',
    name: 'Together',
    baseUrl: 'https://api.together.xyz/v1',
    endpoints: ['embeddings'],
    proof: { by: 'models' },
    models: list('together', false),
    priceTable: 'together',
  }),
  compatible({
    id: 'sambanova',
    name: 'SambaNova',
    baseUrl: 'https://api.sambanova.ai/v1',
    endpoints: ['embeddings'],
    proof: { by: 'chat' },
    models: list(null, true),
  }),
  compatible({
    id: 'vercel',
    name: 'Vercel AI Gateway',
    baseUrl: 'https://ai-gateway.vercel.sh/v1',
    keyFormat: anyKey(['vck_'], 'vck_'),
    endpoints: ['responses', 'embeddings'],
    proof: { by: 'request', at: vercelCredits, read: 'vercel' },
    models: list('vercel', true),
    balance: { at: vercelCredits, read: 'vercel' },
  }),
  compatible({
    id: 'novita',
    name: 'Novita',
    baseUrl: 'https://api.novita.ai/openai/v1',
    endpoints: ['embeddings'],
    proof: { by: 'request', at: novitaBalance, read: 'novita', fallBack: 'chat' },
    models: list('novita', true),
    balance: { at: novitaBalance, read: 'novita' },
    priceTable: 'novita',
  }),
  compatible({
    id: 'chutes',
    name: 'Chutes',
    baseUrl: 'https://llm.chutes.ai/v1',
    keyFormat: anyKey(['cpk_'], 'cpk_'),
    proof: { by: 'request', at: chutesUser, read: 'chutes', fallBack: 'chat' },
    models: list('chutes', true),
    balance: { at: chutesUser, read: 'chutes' },
  }),
  compatible({
    id: 'akash',
    name: 'AkashML',
    aliases: ['akashml'],
    baseUrl: 'https://api.akashml.com/v1',
    models: list('akash', false),
  }),
  compatible({
    id: 'nvidia',
    name: 'NVIDIA NIM',
    aliases: ['nvapi'],
    baseUrl: 'https://integrate.api.nvidia.com/v1',
    keyFormat: anyKey(['nvapi-'], 'nvapi-'),
    endpoints: ['embeddings'],
    authors: ['nvidia'],
    streamUsage: 'never',
    knownMembers: nvidiaMembers,
    proof: {
      by: 'request',
      at: { base: 'https://api.ngc.nvidia.com', path: '/v3/keys/get-caller-info', auth: 'nvidia-form' },
      read: 'nvidia',
      fallBack: 'chat',
    },
    models: list(null, true),
  }),
  compatible({ id: 'hyperbolic', name: 'Hyperbolic', baseUrl: 'https://api.hyperbolic.xyz/v1' }),
  compatible({
    id: 'morpheus',
    name: 'Morpheus',
    aliases: ['mor'],
    baseUrl: 'https://api.mor.org/api/v1',
    endpoints: ['embeddings'],
  }),
  compatible({
    id: 'openrouter',
    name: 'OpenRouter',
    baseUrl: 'https://openrouter.ai/api/v1',
    credential: 'key_and_management',
    keyFormat: {
      requiredPrefix: 'sk-or-',
      publicPrefixes: ['sk-or-v1-', 'sk-or-'],
      tellingPrefix: 'sk-or-',
      minLength: 20,
      maxLength: 512,
    },
    routes: plainRoutes(['chat', 'responses', 'embeddings', 'rerank']),
    streamUsage: 'always',
    reportsCost: true,
    generation: { path: '/generation', header: 'x-generation-id' },
    authors: ['openrouter'],
    servesEveryAuthor: true,
    proof: { by: 'request', at: { base: null, path: '/key' }, read: 'openrouter' },
    models: list('openrouter', true),
    balance: { at: { base: null, path: '/key' }, read: 'openrouter' },
    priceTable: 'openrouter',
  }),
]

const registry = new Map<string, Provider>()
const names = new Map<string, ProviderId>()

/** Enters a row. For the rows of this file, and for the test that shows what adding a provider takes. */
export function addProvider(row: Provider): void {
  registry.set(row.id, row)
  for (const name of row.callerNames) names.set(name, row.id)
}

const rows = new Map([...compatibleRows, ...nativeRows].map((row) => [row.id, row]))
for (const id of providerIds) addProvider(rows.get(id) as Provider)

/** The registry's row. @throws Error on an id without a row: a bug, since ids are read by `isProviderId` first */
export function providerOf(id: ProviderId): Provider {
  const row = registry.get(id)
  if (!row) throw new Error(`no provider has the id ${id}`)
  return row
}

/** All rows, in the order of `providerIds`. */
export const allProviders = (): Provider[] => [...registry.values()]

/** The provider that a value of `x-byok-provider` means. Exact lower case; null for every other text. */
export const providerNamed = (text: string): ProviderId | null => names.get(text) ?? null
