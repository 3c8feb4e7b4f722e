import type { Dispatch } from '#app/domain/ledger/ledger.ts'
import { type ChargeMode, chargeModeFor, type KeySource, markupBpFor, needsTier } from '#app/domain/plans/plans.ts'
import { needsDollars } from '#app/domain/pricing/currency.ts'
import { type PriceBook, priceBookAt } from '#app/domain/pricing/pricing.ts'
import { type Catalogue, loadCatalogue, type Surface } from '#app/domain/pricing/queries.server.ts'
import type { Credential } from '#app/domain/providers/credential.ts'
import { platformCredential } from '#app/domain/providers/platform-credential.server.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { openProviderKey } from '#app/domain/vault/open-provider-key.server.ts'
import { idTime, newId } from '#app/platform/ids.ts'
import { memberText } from '#app/platform/json-members.ts'
import type { Admission } from './admission.server.ts'
import type { Call } from './call.ts'
import { badRequest, GatewayError } from './gateway-error.ts'
import type { InferenceRequest } from './inference-request.ts'
import { setAsideFor } from './limit-output.server.ts'
import { type CallRoute, chooseRoute, fallbackRoute } from './route.server.ts'
import { toUpstreamBody } from './upstream-body.ts'

export const surfaceHeader = 'x-keymargin-surface'
const usualSurface = 'agent_run'

/** What a request says beside its body. */
export interface CallHeaders {
  surface: string | string[] | undefined
  provider: string | string[] | undefined
}

/** The surface that a request names. @throws GatewayError 400 naming the header */
export function readSurface(header: string | string[] | undefined, catalogue: Catalogue): Surface {
  const surface =
    typeof header === 'string' || header === undefined ? catalogue.surfaces.get(header ?? usualSurface) : undefined
  if (!surface)
    throw badRequest(
      'unknown_surface',
      `The header '${surfaceHeader}' names a surface that is not known here. Those that are: ${[...catalogue.surfaces.keys()].sort().join(', ')}.`,
      surfaceHeader,
    )
  return surface
}

/** Parameters that make a call dearer for whoever pays the provider. A tier price does not hold them. */
const dearer: readonly [name: string, harmless: RegExp][] = [
  ['service_tier', /^(?:null|"auto"|"default"|"flex")$/],
  ['web_search_options', /^null$/],
  ['provider', /^null$/],
]

/** On the platform's key the operator would pay for what the customer's price does not hold. @throws GatewayError 400 */
function refuseDearer({ bytes, members }: InferenceRequest): void {
  for (const [name, harmless] of dearer) {
    const member = members.get(name)
    if (member && !(member.end - member.start < 16 && harmless.test(memberText(bytes, member))))
      throw badRequest(
        'unsupported_parameter',
        `Parameter '${name}' is not accepted on the platform key: its price does not hold what it costs.`,
        name,
      )
  }
}

const notPriced = (): GatewayError =>
  new GatewayError(503, 'model_not_priced', 'The model has no price at the moment. The operator must publish one.')

/** A plan that bills what goes beyond its credits charges such a call by its tier, on the invoice. */
const modeOf = ({ plan }: Admission, keySource: KeySource, beyondCredits: boolean): ChargeMode => {
  const mode = chargeModeFor(plan, keySource)
  return mode === 'credits' && beyondCredits && plan.creditOverage === 'bill' ? 'tier' : mode
}

/** A subscription can move a workspace onto a plan that reckons in dollars; prices in its own currency less a cost in dollars are no sum. */
export const otherCurrency = (): GatewayError =>
  new GatewayError(
    503,
    'plan_needs_dollars',
    'The plan reckons in USD, and the workspace is billed in another currency. The operator must change one of them.',
  )

function toDispatch(
  admission: Admission,
  surface: Surface,
  request: InferenceRequest,
  route: CallRoute,
  book: PriceBook,
  beyondCredits: boolean,
): Dispatch {
  const { keySource, provider, key, hosted, upstreamModel } = route
  const chargeMode = modeOf(admission, keySource, beyondCredits)
  if (needsTier(chargeMode) && !hosted)
    throw new GatewayError(
      404,
      'model_not_found',
      'The model does not exist or is in no tier of this plan. GET /v1/models lists those that this token can call.',
      { param: 'model' },
    )
  if (hosted && !book.tiers[hosted.tier] && needsTier(chargeMode)) throw notPriced()
  if (admission.currency !== 'usd' && needsDollars(chargeMode)) throw otherCurrency()
  const id = newId()
  const model = hosted?.id ?? request.model
  return {
    id,
    dispatchedAt: idTime(id),
    workspaceId: admission.workspaceId,
    tokenId: admission.tokenId,
    surface: surface.id,
    provider,
    model,
    upstreamModel: upstreamModel === model ? null : upstreamModel,
    endpoint: request.endpoint,
    fallbackOf: null,
    tier: hosted && book.tiers[hosted.tier] ? hosted.tier : 'none',
    keySource,
    keyId: key?.id ?? null,
    keyVersion: key?.version ?? null,
    chargeMode,
    markupBp: markupBpFor(admission.plan, chargeMode, keySource),
    priceBookVersion: book.version,
    streamed: request.streamed,
  }
}

/** What is known of a call beside what it asks for. */
export interface Circumstances {
  /** Monotonic ms. */
  arrivedAt: number
  /** The workspace's credits do not cover it, and its plan bills what goes beyond them. */
  beyondCredits: boolean
}

/** The chosen key. One that does not open fails the call: there is no falling back to the platform's. */
async function openKey({ workspaceId, keyId, keyVersion }: Dispatch): Promise<Credential> {
  if (keyId === null || keyVersion === null) return platformCredential()
  return openProviderKey({ workspaceId, keyId, keyVersion })
}

async function toCall(
  admission: Admission,
  request: InferenceRequest,
  route: CallRoute,
  surface: Surface,
  catalogue: Catalogue,
  { arrivedAt, beyondCredits }: Circumstances,
): Promise<Call> {
  if (route.keySource === 'platform') refuseDearer(request)
  const { workspaceId, currency } = admission
  const book = priceBookAt(catalogue.books, new Date(), { workspaceId, currency, tier: route.hosted?.tier })
  if (!book) throw notPriced()
  const dispatch = toDispatch(admission, surface, request, route, book, beyondCredits)
  const credential = await openKey(dispatch) // first: a call that fails here must not stand in the way of others' limits
  const setAside = await setAsideFor(admission, dispatch, request, route, book)
  const { most, outputLimit, bodyLimit, canShrink, isWritten } = setAside
  const upstream = toUpstreamBody(request, route, bodyLimit)
  return {
    dispatch,
    provider: providerOf(route.provider),
    upstreamModel: route.upstreamModel,
    request,
    body: upstream.body,
    dialect: upstream.dialect,
    hidesUsage: upstream.hidesUsage,
    keyEpoch: admission.keyEpoch,
    list: route.hosted?.list ?? null,
    book,
    most,
    outputLimit,
    canShrink,
    isWritten,
    credential,
    arrivedAt,
    standIn: null,
  }
}

/**
 * Fixes everything about a call before it goes out: surface, provider, model, tier, price-book version, and whose key pays.
 * @throws GatewayError; AppError `key_unavailable`
 */
export async function admit(
  admission: Admission,
  request: InferenceRequest,
  headers: CallHeaders,
  circumstances: Circumstances,
): Promise<Call> {
  if (admission.suspended)
    throw new GatewayError(
      403,
      'workspace_suspended',
      'The workspace is suspended because nobody pays for it. Its owner must write to the operator.',
    )
  const catalogue = await loadCatalogue()
  const surface = readSurface(headers.surface, catalogue)
  const { model, endpoint } = request
  const route = await chooseRoute(admission, catalogue, { model, endpoint, surface, providerHeader: headers.provider })
  const call = await toCall(admission, request, route, surface, catalogue, circumstances)
  // Who insists on a key of their own is never charged the platform's price, whatever the workspace allows others.
  const isOwn = route.keySource === 'workspace' && headers.provider === undefined
  const cap = isOwn ? admission.fallbackCaps.get(surface.id) : undefined
  const standInRoute = cap === undefined ? null : fallbackRoute(admission, route)
  if (cap !== undefined && standInRoute)
    call.standIn = {
      capPico: cap,
      hosted: standInRoute.hosted,
      admit: async () => {
        const standIn = await toCall(admission, request, standInRoute, surface, catalogue, circumstances)
        standIn.dispatch.fallbackOf = call.dispatch.id
        return standIn
      },
    }
  return call
}
