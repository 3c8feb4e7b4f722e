import { type KeySource, looksForOwnKey, planAllowsProvider, platformServes } from '#app/domain/plans/plans.ts'
import type { Catalogue, ModelRow, Surface } from '#app/domain/pricing/queries.server.ts'
import { chooseKey, type KeyAnswer, type UsableKey } from '#app/domain/providers/choose-key.ts'
import { matchModel } from '#app/domain/providers/model-ids.ts'
import { type Endpoint, type ProviderId, providerIds } from '#app/domain/providers/provider.ts'
import { providerNamed, providerOf } from '#app/domain/providers/registry.ts'
import type { Admission, AdmissionKey } from './admission.server.ts'
import { endpoints } from './endpoints.ts'
import { badRequest, GatewayError } from './gateway-error.ts'
import { hostedIndex } from './hosted-index.ts'
import { modelsOfKey } from './key-models.server.ts'

export const providerHeader = 'x-byok-provider'
/** Whose models the platform's own key serves. */
export const platformProvider: ProviderId = 'openrouter'

/** Where a call goes, under whose key, and what it is called there. */
export interface CallRoute {
  keySource: KeySource
  provider: ProviderId
  /** The model's id at the provider. */
  upstreamModel: string
  /** The workspace's key; null for the platform's. */
  key: AdmissionKey | null
  /** The catalogue's row of the model, where it has one: its tier, and the list price that a reported cost is held against. */
  hosted: ModelRow | null
}

export interface RouteQuestion {
  model: string
  endpoint: Endpoint
  surface: Surface
  providerHeader: string | string[] | undefined
}

const keysPage = 'Settings → Billing'

/** @throws GatewayError 400 for a value that names no provider: exact lower case, so that a typo never changes who pays */
function readForced(header: string | string[] | undefined): ProviderId | null {
  if (header === undefined) return null
  const provider = typeof header === 'string' ? providerNamed(header) : null
  if (provider) return provider
  throw badRequest(
    'unknown_provider',
    `The header '${providerHeader}' must be the id of a provider, in lower case: one of ${providerIds.join(', ')}.`,
    providerHeader,
  )
}

type Key = UsableKey & { row: AdmissionKey }

/** The keys that calls of a surface may use, in their holder's order, each with what its provider lists for it. */
export async function usableKeys(admission: Admission, surface: Pick<Surface, 'id'>): Promise<Key[]> {
  const usable = admission.keys.filter(
    ({ provider, allowedSurfaces }) =>
      planAllowsProvider(admission.plan, provider) &&
      (allowedSurfaces.length === 0 || allowedSurfaces.includes(surface.id)),
  )
  return Promise.all(
    usable.map(async (row) => ({
      id: row.id,
      provider: row.provider,
      allowedModels: row.allowedModels,
      models: await modelsOfKey(admission.workspaceId, row),
      row,
    })),
  )
}

type Refused = Extract<KeyAnswer<Key>, { kind: 'refused' }>

function refusal(answer: Refused, endpoint: Endpoint, plan: Admission['plan']): GatewayError {
  const { name } = providerOf(answer.provider)
  if (answer.code === 'no_key_for_provider')
    return badRequest(
      answer.code,
      // a key that the plan does not take has no field there to be saved in
      planAllowsProvider(plan, answer.provider)
        ? `This call names ${name}, but the workspace has no enabled ${name} key for it. Save one under ${keysPage}, or leave the provider out.`
        : `This call names ${name}, but the workspace's plan takes no ${name} keys. Leave the provider out.`,
      'model',
    )
  if (answer.code === 'endpoint_not_served')
    return badRequest(answer.code, `${name} does not serve ${endpoints[endpoint].path} here.`, 'model')
  if (answer.code === 'model_not_allowed')
    return new GatewayError(
      403,
      answer.code,
      `No ${name} key of the workspace is allowed for this model. See ${keysPage}.`,
      {
        param: 'model',
      },
    )
  const choices = (answer.models ?? []).slice(0, 5).join("', '")
  return badRequest(
    answer.code,
    `${name} has several models this could mean: '${choices}'. Name one of them exactly.`,
    'model',
  )
}

const modelNotFound = () =>
  new GatewayError(
    404,
    'model_not_found',
    'The model does not exist or is not offered here. GET /v1/models lists those that this token can call.',
    { param: 'model' },
  )

/** The catalogue's row of a model under any of its ids. An ambiguous one has none. */
function hostedModel(catalogue: Catalogue, ...ids: string[]): ModelRow | null {
  for (const id of ids) {
    const match = matchModel(id, hostedIndex(catalogue))
    if (match.kind === 'found') return catalogue.models.get(match.model) ?? null
  }
  return null
}

function platformRoute(admission: Admission, question: RouteQuestion, hosted: ModelRow | null): CallRoute {
  if (!platformServes(admission))
    throw badRequest(
      'key_required',
      admission.plan.allowedProviders.length
        ? `The workspace has no enabled key that serves this model, and never uses the platform key. Save a key under ${keysPage}.`
        : `The workspace never uses the platform key, and its plan has no keys of its own. Allow the platform key again under ${keysPage}.`,
      'model',
    )
  if (!hosted) throw modelNotFound()
  if (!providerOf(platformProvider).routes[question.endpoint])
    throw badRequest(
      'endpoint_not_served',
      `${endpoints[question.endpoint].path} is not served on the platform key.`,
      'model',
    )
  return { keySource: 'platform', provider: platformProvider, upstreamModel: hosted.id, key: null, hosted }
}

/** The platform's own route for a model, as a stand-in for a refused call; null where it may not, or cannot, take it. */
export function fallbackRoute(admission: Admission, route: CallRoute): CallRoute | null {
  if (!platformServes(admission) || !route.hosted) return null
  const { hosted } = route
  return { keySource: 'platform', provider: platformProvider, upstreamModel: hosted.id, key: null, hosted }
}

/**
 * Where a call goes (providers §2.4). Only the absence of a usable key of the workspace's own leads to the platform's.
 * @throws GatewayError 400, 403, 404
 */
export async function chooseRoute(
  admission: Admission,
  catalogue: Catalogue,
  question: RouteQuestion,
): Promise<CallRoute> {
  const { model, endpoint, surface } = question
  const forced = readForced(question.providerHeader)
  const hosted = hostedModel(catalogue, model)
  if (!looksForOwnKey({ ...admission, surfaceIsBackground: surface.background })) {
    if (forced)
      throw badRequest(
        'surface_on_platform_key',
        `The surface '${surface.id}' stays on the platform key, so '${providerHeader}' does not apply.`,
        providerHeader,
      )
    return platformRoute(admission, question, hosted)
  }
  const keys = await usableKeys(admission, surface)
  const { providerPrecedence: precedence } = admission.plan
  const onPlatform = hosted !== null && platformServes(admission)
  const answer = chooseKey({ model, endpoint, forced, keys, precedence, hosted: onPlatform })
  if (answer.kind === 'key')
    return {
      keySource: 'workspace',
      provider: answer.key.provider,
      upstreamModel: answer.model,
      key: answer.key.row,
      // An Azure key serves its deployment, whatever the caller calls it: a cheap name must not make a dear model's tier.
      hosted: hostedModel(catalogue, answer.model) ?? (answer.key.provider === 'azure' ? null : hosted),
    }
  // A model of the platform's own provider may be named by its prefix, without a key of one's own. The header insists on one.
  const isPlatforms =
    answer.kind === 'refused' && answer.code === 'no_key_for_provider' && answer.provider === platformProvider
  if (answer.kind === 'refused' && (forced || !isPlatforms)) throw refusal(answer, endpoint, admission.plan)
  return platformRoute(admission, question, hosted)
}
