import { type ModelIndex, type ModelMatch, matchModel, variantOf } from './model-ids.ts'
import { type Endpoint, type Provider, type ProviderId, providerIds } from './provider.ts'
import { providerNamed, providerOf } from './registry.ts'

/** A saved key that may be used for this call: enabled, allowed by the plan, for this surface. */
export interface UsableKey {
  id: string
  provider: ProviderId
  /** Empty: every model. */
  allowedModels: readonly string[]
  /** What the provider last listed for this key; null: not known (yet). */
  models: ModelIndex | null
}

export interface KeyQuestion<K extends UsableKey> {
  model: string
  endpoint: Endpoint
  /** The provider that the caller insists on (header `x-byok-provider`). */
  forced: ProviderId | null
  /** In the holder's order. */
  keys: readonly K[]
  /** The plan's precedence; the registry's order follows. */
  precedence: readonly string[]
  /** The platform offers the model under its own key: it is not an id that nobody knows. */
  hosted: boolean
}

type KeyRefusal = 'no_key_for_provider' | 'endpoint_not_served' | 'ambiguous_model' | 'model_not_allowed'

/** `none`: no key of the workspace serves this model. `refused`: the caller named a provider that cannot take the call. */
export type KeyAnswer<K extends UsableKey> =
  | { kind: 'key'; key: K; model: string }
  | { kind: 'none' }
  | { kind: 'refused'; code: KeyRefusal; provider: ProviderId; models?: string[] }

const allows = (key: UsableKey, asked: string, model: string): boolean =>
  key.allowedModels.length === 0 || key.allowedModels.includes(model) || key.allowedModels.includes(asked)

/** Whether an id, in whatever case, is of a family of the provider's own. */
const isNative = (provider: ProviderId, model: string): boolean =>
  providerOf(provider).nativeModels?.test(model.toLowerCase()) ?? false

const matchAt = (key: UsableKey, model: string): ModelMatch =>
  key.models ? matchModel(model, key.models) : { kind: 'absent' }

/**
 * The first key of a provider that the call may use. Keys of one provider have regions, projects and deployments of their own:
 * one whose list lacks the model comes after all others, and then the model goes out as it was named, since lists lag behind.
 */
function keyOf<K extends UsableKey>(question: KeyQuestion<K>, provider: ProviderId, model: string): KeyAnswer<K> {
  const keys = question.keys.filter((key) => key.provider === provider)
  if (keys.length === 0) return { kind: 'refused', code: 'no_key_for_provider', provider }
  if (!providerOf(provider).routes[question.endpoint]) return { kind: 'refused', code: 'endpoint_not_served', provider }
  let ambiguous: string[] | null = null
  const unlisted: (KeyAnswer<K> & { kind: 'key' })[] = []
  for (const key of keys) {
    const match = matchAt(key, model)
    if (match.kind === 'ambiguous') {
      ambiguous ??= match.models
      continue
    }
    const id = match.kind === 'found' ? match.model : unlistedId(key, model)
    if (!allows(key, question.model, id)) continue
    const answer = { kind: 'key' as const, key, model: id }
    if (match.kind === 'found' || key.models === null) return answer
    unlisted.push(answer)
  }
  // Of several Azure keys each has another deployment: an id that is none of theirs could mean any.
  const deployments = provider === 'azure' ? new Set(unlisted.map((answer) => answer.model)) : null
  if (deployments && deployments.size > 1) ambiguous = [...deployments].sort()
  else if (unlisted[0]) return unlisted[0]
  if (ambiguous) return { kind: 'refused', code: 'ambiguous_model', provider, models: ambiguous }
  return { kind: 'refused', code: 'model_not_allowed', provider }
}

/** Under which id a model goes out that the key's list does not hold, where the caller named the provider. */
function unlistedId(key: UsableKey, model: string): string {
  if (key.provider === 'azure') return key.models?.ids.values().next().value ?? model
  return key.models === null ? spelt(key.provider, model) : model
}

/** Its own models' ids carry their author there: `nvidia/nemotron-…`, `openrouter/auto`. */
const keepsAuthor = ({ authors, nativeModels }: Provider): boolean => authors.length > 0 && nativeModels === null

/** An author's own host spells its ids as it does; without its list, that much is known. */
function spelt(provider: ProviderId, model: string): string {
  const row = providerOf(provider)
  const authors = keepsAuthor(row) ? [] : row.authors
  const slash = model.indexOf('/')
  const slug = authors.includes(model.slice(0, Math.max(slash, 0)).toLowerCase()) ? model.slice(slash + 1) : model
  return provider === 'anthropic' ? slug.replaceAll('.', '-') : slug
}

/**
 * The prefix `name/` of a model, where it names a provider and not an author whose models other hosts serve too: before one more
 * name, or in an id that a host lists as it stands (`deepseek/deepseek-v3/community`).
 */
function explicitPrefix({ model, keys }: KeyQuestion<UsableKey>): { provider: ProviderId; rest: string } | null {
  const slash = model.indexOf('/')
  if (slash <= 0) return null
  const name = model.slice(0, slash)
  const provider = providerNamed(name)
  const rest = model.slice(slash + 1)
  if (!provider) return null
  const isWhole = () => !rest.includes('/') || keys.some(({ models }) => models?.ids.has(model))
  return providerOf(provider).authors.includes(name) && isWhole() ? null : { provider, rest }
}

/** What the caller meant for a provider they named: without that provider's own prefix. */
function withoutPrefix(model: string, provider: ProviderId): string {
  const slash = model.indexOf('/')
  const name = slash > 0 ? model.slice(0, slash) : ''
  const rest = model.slice(slash + 1)
  const isWhole = !rest.includes('/') && keepsAuthor(providerOf(provider))
  return providerNamed(name) !== provider || isWhole ? model : rest
}

/** The search for a key whose provider was not named, step by step; the first step that finds one decides. */
class Search<K extends UsableKey> {
  readonly #question: KeyQuestion<K>
  readonly #order: ProviderId[]
  #ambiguous: KeyAnswer<K> | null = null

  constructor(question: KeyQuestion<K>) {
    this.#question = question
    const place = (provider: ProviderId) => {
      const at = question.precedence.indexOf(provider)
      return at < 0 ? question.precedence.length + providerIds.indexOf(provider) : at
    }
    const saved = new Set(question.keys.map((key) => key.provider))
    const able = [...saved].filter((provider) => providerOf(provider).routes[question.endpoint])
    this.#order = able.sort((a, b) => place(a) - place(b))
  }

  #first(found: (provider: ProviderId) => KeyAnswer<K> | null): KeyAnswer<K> | null {
    for (const provider of this.#order) {
      const answer = found(provider)
      if (answer?.kind === 'key') return answer
      if (answer?.kind === 'refused' && answer.code === 'ambiguous_model') this.#ambiguous ??= answer
    }
    return null
  }

  /**
   * A bare id that belongs to one provider's own family: `gpt-…`, `claude-…`, `gemini-…`, a Bedrock id. Where its list lacks
   * the id and another host's has it, that host is meant: open weights carry their family's name everywhere.
   */
  #native(): KeyAnswer<K> | null {
    const { model } = this.#question
    const own = this.#first((provider) => (isNative(provider, model) ? keyOf(this.#question, provider, model) : null))
    const isUnlisted = own?.kind === 'key' && own.key.models !== null && !own.key.models.ids.has(own.model)
    return (isUnlisted ? this.#exact() : null) ?? own
  }

  /** `author/slug` at the author's own host: a slug it lists, or any while its list is not known. */
  #author(): KeyAnswer<K> | null {
    const { model } = this.#question
    const author = model.slice(0, Math.max(model.indexOf('/'), 0)).toLowerCase()
    return this.#first((provider) => {
      if (!providerOf(provider).authors.includes(author) || variantOf(model) !== null) return null
      const unlisted = this.#question.keys.every((key) => key.provider !== provider || key.models === null)
      return unlisted ? keyOf(this.#question, provider, model) : this.#listed(provider)
    })
  }

  #listed(provider: ProviderId): KeyAnswer<K> | null {
    const { model, keys } = this.#question
    let ambiguous: KeyAnswer<K> | null = null
    for (const key of keys) {
      if (key.provider !== provider) continue
      const match = matchAt(key, model)
      if (match.kind === 'found' && allows(key, model, match.model)) return { kind: 'key', key, model: match.model }
      if (match.kind === 'ambiguous')
        ambiguous ??= { kind: 'refused', code: 'ambiguous_model', provider, models: match.models }
    }
    return ambiguous
  }

  /** Hosts that list this very id come before those that list one that means the same. */
  #exact(): KeyAnswer<K> | null {
    const { model, keys } = this.#question
    const holds = (provider: ProviderId) =>
      keys.some((key) => key.provider === provider && (key.models?.ids.has(model) ?? false))
    const everyAuthor = (provider: ProviderId) => providerOf(provider).servesEveryAuthor
    return (
      this.#first((provider) => (everyAuthor(provider) && holds(provider) ? this.#listed(provider) : null)) ??
      this.#first((provider) => (holds(provider) ? this.#listed(provider) : null))
    )
  }

  /**
   * A provider's name that is only its second name as an author (`xai/` beside `x-ai/`) is a prefix again before an id that nobody
   * lists: aliases such as `grok-4-latest` are in no list.
   */
  #ownName(): KeyAnswer<K> | null {
    const { model } = this.#question
    const slash = model.indexOf('/')
    const name = model.slice(0, Math.max(slash, 0))
    return this.#first((provider) => {
      const isMeant = providerNamed(name) === provider && providerOf(provider).authors.indexOf(name) > 0
      return isMeant ? keyOf(this.#question, provider, model.slice(slash + 1)) : null
    })
  }

  /** A host that takes ids of every author takes those that its list lacks, too. */
  #everyAuthor(): KeyAnswer<K> | null {
    const { model } = this.#question
    if (!model.includes('/')) return null
    return this.#first((provider) =>
      providerOf(provider).servesEveryAuthor ? keyOf(this.#question, provider, model) : null,
    )
  }

  /** An id that nobody lists goes to the only provider there is a key of; an Azure key has one model and no other. */
  #only(): KeyAnswer<K> | null {
    const [only, ...more] = this.#order
    if (!only || more.length > 0 || only === 'azure' || this.#question.hosted) return null
    const answer = keyOf(this.#question, only, this.#question.model)
    return answer.kind === 'key' ? answer : null
  }

  /** A host that has the model, but not this endpoint: said rather than "no key". */
  #elsewhere(): KeyAnswer<K> | null {
    const { model, keys, endpoint, hosted } = this.#question
    if (hosted) return null
    const key = keys.find(({ provider, models }) => {
      const has = isNative(provider, model) || (models !== null && matchModel(model, models).kind === 'found')
      return has && !providerOf(provider).routes[endpoint]
    })
    return key ? { kind: 'refused', code: 'endpoint_not_served', provider: key.provider } : null
  }

  run(): KeyAnswer<K> {
    const { precedence } = this.#question
    const found =
      this.#native() ??
      this.#author() ??
      this.#first((provider) => (precedence.includes(provider) ? this.#listed(provider) : null)) ??
      this.#exact() ??
      this.#ownName() ??
      this.#everyAuthor() ??
      this.#first((provider) => this.#listed(provider))
    if (found?.kind === 'key') return found
    return this.#ambiguous ?? this.#elsewhere() ?? this.#only() ?? { kind: 'none' }
  }
}

/**
 * Which of a workspace's keys takes a call, and under which id the model goes there (providers §2.4): the provider the
 * caller insists on; an explicit `provider/` prefix; a native bare id; the author's own host; the plan's precedence among
 * hosts that list the model; a host that lists this very id; a host that takes ids of every author; any host that lists
 * the model under another id; and last the only key there is, for ids that nobody lists. Among several keys of one
 * provider the holder's order decides.
 */
export function chooseKey<K extends UsableKey>(question: KeyQuestion<K>): KeyAnswer<K> {
  const { model, forced } = question
  if (forced) return keyOf(question, forced, withoutPrefix(model, forced))
  const prefix = explicitPrefix(question)
  if (prefix) return keyOf(question, prefix.provider, prefix.rest)
  return new Search(question).run()
}
