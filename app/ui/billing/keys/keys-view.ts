import type { KeyCoverage } from '#app/domain/analytics/key-coverage.server.ts'
import { type CredentialField, credentialFields } from '#app/domain/providers/credential-form.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import type { ProviderKeyStatus } from '#app/domain/vault/vault.ts'
import type { Choice } from '#app/ui/analytics/analytics-view.ts'
import { counted } from '#app/ui/money.ts'
import type { Tone } from '#app/ui/status-badge.tsx'
import { utcDay, utcMinute } from '#app/ui/time.ts'
import { ago, balanceOf, limitsOf, type Remark, remarksOf, stateOf } from './key-words.ts'
import { keysNote, type MoneyRules, noKeysText, stopWords } from './money-words.ts'

export interface KeyView {
  id: string
  hint: string
  /** What the holder calls it; may be empty. */
  name: string
  enabled: boolean
  state: { label: string; tone: Tone }
  low: boolean
  remarks: Remark[]
  facts: [label: string, value: string][]
  /** Places that a move would bring it to; null at the ends. */
  up: number | null
  down: number | null
}

export interface KeyGroup {
  id: string
  name: string
  keys: KeyView[]
}

/** The form that takes a credential: a new one, or one in place of a saved one. */
export interface KeyFormView {
  provider: string
  providerName: string
  replaces: { id: string; hint: string } | null
  fields: CredentialField[]
  /** Members of the JSON that may be pasted instead; null where the credential is a plain key. */
  members: string[] | null
  /** In the demo: what its sandbox takes as a credential here. */
  samples: { text: string; means: string }[]
}

export interface LimitsView {
  keyId: string
  title: string
  name: string
  models: string[]
  /** What the provider lists for the key. */
  listed: string[]
  surfaces: string[]
  allSurfaces: Choice[]
}

export interface CoverageView {
  keyId: string
  tone: 'teal' | 'yellow' | 'gray'
  sentence: string
  rows: { model: string; calls: string; why: string }[]
}

/** A key that is about to be switched off or removed, and what follows. */
export interface StopView {
  keyId: string
  intent: 'switch-key' | 'remove-key'
  title: string
  routing: string
  bill: string
  key: string
  counterfactual: string | null
}

export interface KeysView {
  canManage: boolean
  note: string
  empty: string
  groups: KeyGroup[]
  /** Providers whose keys may be added, by name. */
  choices: { id: string; name: string }[]
  connect: boolean
  /** Day on which the plan ends and the keys are destroyed. */
  endsOn: string | null
  /** What the address asks to be opened. */
  open: {
    choosing: boolean
    form: KeyFormView | null
    limits: LimitsView | null
    coverage: CoverageView | null
    stop: StopView | null
  }
}

export interface KeysInput {
  keys: ProviderKeyStatus[]
  allowed: ProviderId[]
  canManage: boolean
  paused: boolean
  rules: MoneyRules
  endsAt: string | null
  surfaces: ReadonlyMap<string, { name: string; background: boolean }>
  now: Date
}

const nameOf = (provider: string): string => providerOf(provider as ProviderId).name
const hintOf = (key: ProviderKeyStatus): string => key.hint || 'too short for a hint'

/** A key that was put in the place of another has not been used yet, whatever the other was. */
const at = (iso: string | null, version: number, now: Date): string =>
  iso ? `${ago(iso, now)}, ${utcMinute(iso)}` : version > 1 ? 'not since it was replaced' : 'never'

function toKey(key: ProviderKeyStatus, place: number, last: number, input: KeysInput): KeyView {
  const { now, surfaces, paused } = input
  const provider = providerOf(key.provider as ProviderId)
  const by = key.savedBy ? ` by ${key.savedBy}` : ''
  return {
    id: key.id,
    hint: hintOf(key),
    name: key.name,
    enabled: key.enabled,
    state: stateOf(key),
    low: key.balance?.low ?? false,
    remarks: remarksOf(key, provider.name, paused),
    facts: [
      ['Last used', at(key.lastUsedAt, key.version, now)],
      ['Last success', at(key.lastSuccessAt, key.version, now)],
      ['Balance', balanceOf(key, provider.name, provider.balance !== null, now)],
      ...limitsOf(key, (id) => surfaces.get(id)?.name ?? id),
      ['Saved', `${utcMinute(key.savedAt)}${by}, version ${key.version}`],
    ],
    up: place > 0 ? place - 1 : null,
    down: place < last ? place + 1 : null,
  }
}

function toGroups(input: KeysInput): KeyGroup[] {
  const providers = [...new Set(input.keys.map((key) => key.provider))]
  return providers.map((id) => {
    const keys = input.keys.filter((key) => key.provider === id)
    return { id, name: nameOf(id), keys: keys.map((key, place) => toKey(key, place, keys.length - 1, input)) }
  })
}

export function toKeyForm(
  provider: ProviderId,
  replaced: ProviderKeyStatus | null,
  samples: KeyFormView['samples'] = [],
): KeyFormView {
  const row = providerOf(provider)
  const fields = credentialFields(provider, replaced !== null)
  const isPlain = row.credential === 'key' || row.credential === 'key_and_management'
  return {
    provider,
    providerName: row.name,
    replaces: replaced && { id: replaced.id, hint: hintOf(replaced) },
    fields,
    members: isPlain ? null : fields.map((field) => field.name),
    samples,
  }
}

export function toLimits(key: ProviderKeyStatus, listed: string[] | null, surfaces: KeysInput['surfaces']): LimitsView {
  return {
    keyId: key.id,
    title: `Name and limits of ${hintOf(key)}`,
    name: key.name,
    models: key.allowedModels,
    listed: listed ?? [],
    surfaces: key.allowedSurfaces,
    allSurfaces: [...surfaces].map(([value, { name }]) => ({ value, label: name })),
  }
}

const why: Record<KeyCoverage['missing'][number]['reason'], string> = {
  not_listed: 'the provider does not list it for this key',
  ambiguous: 'the provider lists several that it could mean: name one of them exactly',
  not_allowed: 'this key’s own limits leave it out',
}

/** "3 of the 14 models you used in the last 30 days are not available to this key", with the list. */
export function toCoverage(coverage: KeyCoverage, key: { hint: string }): CoverageView {
  const { keyId, used, missing, listedAt } = coverage
  const models = counted(BigInt(used), 'model')
  const rows = missing.map((one) => ({ model: one.model, calls: String(one.calls), why: why[one.reason] }))
  const about = `Asked of ${key.hint || 'this key'}:`
  if (listedAt === null)
    return {
      keyId,
      tone: 'gray',
      rows: [],
      sentence: `${about} which models the key can call is not known yet. It is read within a minute or two; look again then.`,
    }
  if (used === 0)
    return {
      keyId,
      tone: 'gray',
      rows,
      sentence: `${about} no model was used in the last 30 days, so nothing would fail.`,
    }
  if (!missing.length)
    return {
      keyId,
      tone: 'teal',
      rows,
      sentence: `${about} ${used === 1 ? 'the one model' : `all ${models}`} you used in the last 30 days ${used === 1 ? 'is' : 'are'} available to this key.`,
    }
  const verb = missing.length === 1 ? 'is' : 'are'
  return {
    keyId,
    tone: 'yellow',
    rows,
    sentence: `${about} ${missing.length} of the ${models} you used in the last 30 days ${verb} not available to this key.`,
  }
}

/** Both ends of a key are told alike: from the next call on, calls go elsewhere and somebody else is paid. */
export function toStop(
  intent: StopView['intent'],
  key: ProviderKeyStatus,
  input: KeysInput,
  counterfactual: string | null,
): StopView {
  const others = input.keys.filter((one) => one.id !== key.id && one.enabled)
  const provider = nameOf(key.provider)
  return {
    keyId: key.id,
    intent,
    title: intent === 'switch-key' ? `Switch the ${provider} key off?` : `Remove the ${provider} key?`,
    key:
      intent === 'switch-key'
        ? `it is kept here, and works again once you switch it on. It still works at ${provider}.`
        : `it is deleted here and cannot be brought back. It still works at ${provider} until you revoke it there.`,
    ...stopWords(input.rules, {
      provider,
      isOff: !key.enabled,
      hasSibling: others.some((one) => one.provider === key.provider),
      hasOther: others.length > 0,
    }),
    counterfactual,
  }
}

const choicesOf = (allowed: ProviderId[]): KeysView['choices'] =>
  allowed.map((id) => ({ id, name: nameOf(id) })).sort((a, b) => a.name.localeCompare(b.name))

export function toKeysView(input: KeysInput, open: KeysView['open']): KeysView {
  const { allowed, canManage, rules, endsAt } = input
  const [only, ...more] = allowed
  return {
    canManage,
    note: keysNote(rules, only && !more.length ? nameOf(only) : null),
    empty: noKeysText(rules, canManage),
    groups: toGroups(input),
    choices: canManage ? choicesOf(allowed) : [],
    connect: canManage && allowed.includes('openrouter'),
    endsOn: endsAt && utcDay(endsAt),
    open,
  }
}
