/**
 * The same model carries another id at every host: `moonshotai/kimi-k2.6` is `kimi-k2.6` at CrofAI, `moonshotai/Kimi-K2.6`
 * at Together and `accounts/fireworks/models/kimi-k2p6` at Fireworks. Ids are compared by what is left when the host's own
 * ornaments are taken off (providers §2.5).
 */

/** Pairs that the rule below misses: hosts that swapped words or renamed. Both sides as they stand after the rule. */
const sameModel: readonly (readonly [string, string])[] = [
  ['nemotron-3-nano-30b', 'nemotron-nano-3-30b'],
  ['nemotron-3-nano-30b', 'nemotron-3-nano-30b-a3b'],
  ['llama-4-maverick', 'llama-4-maverick-17b-128e-instruct'],
  ['llama-4-maverick', 'llama-4-maverick-17b-128e-instruct-fp8'],
  ['llama-4-scout', 'llama-4-scout-17b-16e-instruct'],
  ['mistral-large-3', 'mistral-large-2512'],
  ['mistral-large-3', 'mistral-large-3-675b-instruct-2512'],
]
const canonical = new Map(sameModel.map(([name, other]) => [other, name]))

/** Authors that hosts write in several ways: one line each. */
const sameAuthor = [
  'qwen alibaba',
  'moonshotai moonshot',
  'meta-llama meta',
  'x-ai xai',
  'z-ai zai-org zai thudm',
  'mistralai mistral',
  'deepseek deepseek-ai',
  'minimax minimaxai',
  'cohere cohereforai coherelabs',
  'xiaomi xiaomimimo',
  'bytedance bytedance-seed',
  'stepfun stepfun-ai',
  'ai21 ai21labs',
]
const canonicalAuthor = new Map(
  sameAuthor.flatMap((line) => line.split(' ').map((name) => [name, line.split(' ')[0] as string] as const)),
)

/** Whose model an id says it is; null where it does not say (`gpt-5-mini`, `accounts/fireworks/models/kimi-k2p6`). */
function authorOf(id: string): string | null {
  const parts = id.toLowerCase().split('/')
  if (parts.length !== 2) return null
  return canonicalAuthor.get(parts[0] as string) ?? (parts[0] as string)
}

const variant = /:([a-z][a-z0-9-]*)$/i
const bedrockVendor =
  /^(?:(?:us|eu|apac|jp|au|global|us-gov)\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|nvidia|qwen|writer|moonshotai?|minimax|google|zai|stability|twelvelabs)\./

/**
 * What an id says of the model alone: last path segment, lower case, without variant, Bedrock's region, vendor and version,
 * `-tee` and a trailing date; `p` between digits, `.` and `_` become `-`. Speed tiers such as `-lightning` stay: they cost otherwise.
 */
export function normaliseModelId(id: string): string {
  const last = id.slice(id.lastIndexOf('/') + 1).toLowerCase()
  const bedrock = bedrockVendor.test(last)
  const plain = (bedrock ? last.replace(bedrockVendor, '').replace(/-v\d+(?::\d+)?$/, '') : last.replace(variant, ''))
    .replace(/(\d)p(?=\d)/g, '$1-')
    .replace(/[._]/g, '-')
    .replace(/-tee$/, '')
    .replace(/-20\d{6}$/, '')
  return canonical.get(plain) ?? plain
}

/** The variant of an id, such as `free` or `nitro`: OpenRouter's own notion, which no other host can be asked for. */
export function variantOf(id: string): string | null {
  return bedrockVendor.test(id) ? null : (variant.exec(id)?.[1]?.toLowerCase() ?? null)
}

const dated = /-(20\d{6})(?=$|-v\d|:)/
const bedrockRegion = /^(us|eu|apac|jp|au|global|us-gov)\./
const bedrockVersion = /-v(\d+)(?::\d+)?$/

/** What a pattern finds in an id of Bedrock, and null in any other. */
const inBedrock = (id: string, pattern: RegExp): string | null =>
  bedrockVendor.test(id) ? (pattern.exec(id)?.[1] ?? null) : null

const contradict = (one: string | null, two: string | null): boolean => one !== null && two !== null && one !== two

/**
 * Whether two ids of one name can mean one model. Two authors who use the same name do not; nor do two dates or versions of
 * it, which differ in price and answers. A caller who names a region of Bedrock's gets that one: data stays where it was sent.
 */
function mayBeTheSame(asked: string, listed: string): boolean {
  const [id, other] = [asked.toLowerCase(), listed.toLowerCase()]
  const region = inBedrock(id, bedrockRegion)
  if (region !== null && bedrockVendor.test(other) && inBedrock(other, bedrockRegion) !== region) return false
  return (
    !contradict(authorOf(id), authorOf(other)) &&
    !contradict(dated.exec(id)?.[1] ?? null, dated.exec(other)?.[1] ?? null) &&
    !contradict(inBedrock(id, bedrockVersion), inBedrock(other, bedrockVersion))
  )
}

/** `ambiguous`: two of the host's models could be meant; choosing one would be a guess about price and quality. */
export type ModelMatch = { kind: 'found'; model: string } | { kind: 'ambiguous'; models: string[] } | { kind: 'absent' }

/** Ids of one host, ready to be searched. */
export interface ModelIndex {
  ids: ReadonlySet<string>
  byName: ReadonlyMap<string, readonly string[]>
}

/** A dedicated deployment at Fireworks: `MODEL#DEPLOYMENT`. Its last name is whatever its owner made it. */
const isDeployment = (id: string): boolean => id.includes('#')

export function indexModels(ids: Iterable<string>): ModelIndex {
  const byName = new Map<string, string[]>()
  const all = new Set(ids)
  for (const id of all) {
    if (variantOf(id) !== null || isDeployment(id)) continue // only ever meant by its exact id
    const name = normaliseModelId(id)
    byName.set(name, [...(byName.get(name) ?? []), id])
  }
  return { ids: all, byName }
}

/**
 * The host's id of a model: the exact one, else the only one that means the same. An id with a variant is matched exactly
 * or not at all, so that a `:free` model never becomes a paid one; so is one with a deployment, which is paid by the hour.
 */
export function matchModel(id: string, index: ModelIndex): ModelMatch {
  if (index.ids.has(id)) return { kind: 'found', model: id }
  if (variantOf(id) !== null || isDeployment(id)) return { kind: 'absent' }
  const candidates = (index.byName.get(normaliseModelId(id)) ?? []).filter((listed) => mayBeTheSame(id, listed))
  if (candidates.length === 0) return { kind: 'absent' }
  const [only] = candidates
  if (candidates.length === 1 && only) return { kind: 'found', model: only }
  const sameCase = candidates.filter((each) => each.toLowerCase() === id.toLowerCase())
  if (sameCase.length === 1 && sameCase[0]) return { kind: 'found', model: sameCase[0] }
  return { kind: 'ambiguous', models: [...candidates].sort() }
}
