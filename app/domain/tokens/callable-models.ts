/** Which models a workspace can really call: each id is put through the routing of a call. Pure. */
import { needsTier, type PlanRules, platformServes } from '#app/domain/plans/plans.ts'
import type { ModelRow } from '#app/domain/pricing/queries.server.ts'
import { chooseKey, type UsableKey } from '#app/domain/providers/choose-key.ts'
import { type ModelIndex, matchModel } from '#app/domain/providers/model-ids.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'

export interface Callable {
  plan: PlanRules
  neverPlatformKey: boolean
  /** Enabled keys that the plan and the surface allow, in their holder's order. */
  keys: readonly UsableKey[]
}

/** The models of the catalogue, and their ids ready to be searched. */
export interface Hosted {
  models: ReadonlyMap<string, ModelRow>
  index: ModelIndex
}

export interface CallableModel {
  id: string
  /** As the catalogue or the provider lists it. */
  listed: string
  /** The catalogue's row, where it has one. */
  row: ModelRow | undefined
  /** The provider whose key of the workspace's serves it; null: the platform's key does. */
  provider: ProviderId | null
}

const rowOf = ({ models, index }: Hosted, id: string): ModelRow | undefined => {
  const match = matchModel(id, index)
  return match.kind === 'found' ? models.get(match.model) : undefined
}

/** A call by an id that nobody lists goes out all the same, to the only key there is; that it is answered nobody can promise. */
const mayHave = ({ models }: UsableKey, model: string): boolean => models === null || models.ids.has(model)

/** Who takes a chat by this id, as a call would be routed; undefined for nobody. */
function servedBy(
  id: string,
  { plan, neverPlatformKey, keys }: Callable,
  hosted: Hosted,
): ProviderId | null | undefined {
  const row = rowOf(hosted, id)
  const onPlatform = row !== undefined && platformServes({ plan, neverPlatformKey })
  const question = { model: id, endpoint: 'chat' as const, forced: null, keys, hosted: onPlatform }
  const answer = chooseKey({ ...question, precedence: plan.providerPrecedence })
  if (answer.kind === 'none') return onPlatform ? null : undefined
  if (answer.kind === 'refused' || !mayHave(answer.key, answer.model)) return undefined
  const priced = !needsTier(plan.workspaceChargeMode) || row || rowOf(hosted, answer.model)
  return priced ? answer.key.provider : undefined
}

/** A model that a provider lists for a key goes by its own id where that leads to this provider, else by `provider/id`. */
function* idsOf({ keys }: Callable, { models }: Hosted): Generator<{ id: string; provider: ProviderId | null }> {
  for (const id of models.keys()) yield { id, provider: null }
  for (const { provider, models: own } of keys) for (const id of own?.ids ?? []) yield { id, provider }
}

/** Each once, the catalogue's first. What is listed here a call by this id really reaches. */
export function* callableModels(callable: Callable, hosted: Hosted): Generator<CallableModel> {
  const seen = new Set<string>()
  for (const { id: listed, provider } of idsOf(callable, hosted)) {
    let id = listed
    let served = servedBy(id, callable, hosted)
    if (provider !== null && served !== provider) {
      id = `${provider}/${listed}`
      served = servedBy(id, callable, hosted)
      if (served !== provider) continue
    }
    if (served === undefined || seen.has(id)) continue
    seen.add(id)
    yield { id, listed, row: rowOf(hosted, listed), provider: served }
  }
}

/** Ids of models that hold no conversation: an example with one of them would fail. */
const noChat = /embed|rerank|whisper|transcri|tts|speech|image|moderation|dall-e|diffusion/i

/** The model that an example names: of the catalogue, and in the middle of its tiers, where there is one. @returns null: none can be called */
export function exampleModel(models: Iterable<CallableModel>): string | null {
  const all = [...models].filter(({ id, row }) => row || !noChat.test(id))
  const best = all.find(({ row }) => row?.tier === 'balanced') ?? all.find(({ row }) => row) ?? all[0]
  return best?.id ?? null
}
