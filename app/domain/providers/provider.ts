import type { Credential } from './credential.ts'

/** The 22 kinds of credential that a workspace may save. `openai` and `openai-responses` are two kinds, as are the two of Azure. */
export const providerIds = [
  'crof',
  'openai',
  'openai-responses',
  'anthropic',
  'google',
  'xai',
  'deepseek',
  'bedrock',
  'azure',
  'azure-responses',
  'groq',
  'fireworks',
  'together',
  'sambanova',
  'vercel',
  'novita',
  'chutes',
  'akash',
  'nvidia',
  'hyperbolic',
  'morpheus',
  'openrouter',
] as const
export type ProviderId = (typeof providerIds)[number]

export const isProviderId = (text: string): text is ProviderId => (providerIds as readonly string[]).includes(text)

/** What a caller of `/v1` may ask for. */
export type Endpoint = 'chat' | 'responses' | 'embeddings' | 'rerank'

/** `openai`: the caller's bytes go on as they are. The others are translated (dialects/). */
export type DialectName = 'openai' | 'anthropic-messages' | 'bedrock-converse' | 'openai-responses'

/** How one endpoint is reached at a provider. */
export interface Route {
  dialect: DialectName
  /** Path below the base URL, with its query. `model` is the model's id at the provider. */
  path: (call: { model: string; credential: Credential; streamed: boolean }) => string
}

/** How the text of a key must look before anything is asked of the provider. Lengths in characters. */
export interface KeyFormat {
  /** The only gate by prefix there is: OpenRouter's (providers §0.2). Null: no gate. */
  requiredPrefix: string | null
  /** Prefixes that tell nothing about the key and may be shown, longest first. */
  publicPrefixes: string[]
  /** Kinds whose keys begin like this are told apart by it, to name the field a key belongs in. */
  tellingPrefix: string | null
  minLength: number
  maxLength: number
}

/**
 * How a key is proven alive (providers, table 2.1). `request`: the provider's own question about a key. `models`: its list,
 * where that needs a key. `chat`: one token. `differential`: the list if a made-up key is refused there, one token if not.
 */
export type Proof =
  | { by: 'request'; at: Place; read: KeyReplyReader; fallBack?: 'chat' }
  | { by: 'models' }
  | { by: 'chat' }
  | { by: 'differential' }

/** What the replies to the providers' own questions look like; read in internal/key-replies.ts. */
export type KeyReplyReader =
  | 'openrouter'
  | 'crof'
  | 'chutes'
  | 'vercel'
  | 'novita'
  | 'google'
  | 'deepseek'
  | 'xai'
  | 'nvidia'
  | 'sts'
  | 'azure'

/** A request below the base URL, or at another host that is pinned here. */
export interface Place {
  /** `https://host/path` in place of the base URL; `{region}` comes from the credential. Null: the base URL. */
  base: string | null
  path: string
  /** How the key is carried here, where that is not as everywhere else. */
  auth?: 'x-goog-api-key' | 'nvidia-form'
}

/** The list of models: where it is, how it is written, and what its prices are counted in. */
export interface ModelList {
  at: Place
  shape: 'openai' | 'google' | 'bedrock' | 'deployment'
  /** Answers without a key: it proves nothing of one, and the catalogue can be read by anybody. */
  public: boolean
  prices: 'openrouter' | 'crof' | 'chutes' | 'vercel' | 'novita' | 'akash' | 'together' | null
}

/**
 * One row of the registry: everything that is different about a provider, as data. An OpenAI-compatible provider is added
 * with one row here and one entry in the test table.
 */
export interface Provider {
  id: ProviderId
  name: string
  /** Values of the header `x-byok-provider`, and prefixes `name/` of a model, that mean this provider. Lower case. */
  callerNames: string[]
  credential: 'key' | 'key_and_management' | 'aws' | 'azure' | 'azure_responses'
  keyFormat: KeyFormat
  /** Origin and path in front of every route; `{endpoint}` and `{region}` come from the credential. Operators may replace it, users never. */
  baseUrl: string
  auth: 'bearer' | 'x-api-key' | 'api-key' | 'sigv4'
  /** Headers of every request, names in lower case. */
  headers: [string, string][]
  routes: Partial<Record<Endpoint, Route>>
  /** `always`: usage closes every stream. `ask`: with `stream_options.include_usage`. `never`: asking does harm (providers §2.2). */
  streamUsage: 'always' | 'ask' | 'never'
  /** The name of a chat's output limit here. OpenAI's newer models refuse the older name; other hosts may not know the newer. */
  limitName: 'max_tokens' | 'max_completion_tokens'
  /** A strict provider refuses members of a chat that it does not know: only these are sent on. Null: all. */
  knownMembers: readonly string[] | null
  /** The provider's own bill may be believed: only ever for hosts pinned here (security F10). */
  reportsCost: boolean
  /** The provider's record of a generation, where it keeps one. */
  generation: { path: string; header: string } | null
  /** Model ids that are this provider's own without any prefix. */
  nativeModels: RegExp | null
  /** Authors in `author/slug` ids whose own host this is. */
  authors: string[]
  /** Takes `author/slug` ids of any author. */
  servesEveryAuthor: boolean
  proof: Proof
  models: ModelList
  /** Where the provider tells what is left to spend, where it does. */
  balance: { at: Place; read: 'openrouter' | 'crof' | 'chutes' | 'vercel' | 'novita' | 'deepseek' } | null
  /** The provider's name in the price tables (@pydantic/genai-prices), where it has one. */
  priceTable: string | null
}
