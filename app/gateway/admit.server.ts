import type { Dispatch } from '#app/domain/ledger/ledger.ts'
import { chargeModeFor, chooseKeySource } from '#app/domain/plans/plans.ts'
import { priceBookAt } from '#app/domain/pricing/pricing.ts'
import { type Catalogue, loadCatalogue, type ModelRow, type Surface } from '#app/domain/pricing/queries.server.ts'
import { openProviderKey } from '#app/domain/vault/open-provider-key.server.ts'
import { env } from '#app/platform/env.server.ts'
import { idTime, newId } from '#app/platform/ids.ts'
import type { AdmissionRow } from './admission-rows.server.ts'
import type { Call } from './call.ts'
import type { ChatRequest } from './chat-request.ts'
import { badRequest, GatewayError } from './gateway-error.ts'

export const surfaceHeader = 'x-keymargin-surface'
const usualSurface = 'agent_run'

/** The surface that a request names. @throws GatewayError 400 naming the header */
function readSurface(header: string | string[] | undefined, catalogue: Catalogue): Surface {
  const surface =
    typeof header === 'string' || header === undefined ? catalogue.surfaces.get(header ?? usualSurface) : undefined
  if (!surface)
    throw badRequest(
      'unknown_surface',
      `The header '${surfaceHeader}' names a surface that is not known here.`,
      surfaceHeader,
    )
  return surface
}

/** The offered model of a request, and the exact price row it sells at. @throws GatewayError 404 */
function findModel(id: string, catalogue: Catalogue): ModelRow {
  const model = catalogue.models.get(id)
  if (!model)
    throw new GatewayError(
      404,
      'model_not_found',
      'The model does not exist or is not offered here. GET /v1/models lists those that are.',
      { param: 'model' },
    )
  return model
}

function chooseDispatch(
  row: AdmissionRow,
  surface: Surface,
  model: ModelRow,
  request: ChatRequest,
  priceBookVersion: number,
): Dispatch {
  const keySource = chooseKeySource({
    plan: row.plan,
    surfaceIsBackground: surface.background,
    provider: 'openrouter',
    key: row.key,
  })
  const key = keySource === 'workspace' ? row.key : null
  const id = newId()
  return {
    id,
    dispatchedAt: idTime(id),
    workspaceId: row.workspaceId,
    tokenId: row.tokenId,
    surface: surface.id,
    provider: 'openrouter',
    model: model.id,
    tier: model.tier,
    keySource,
    keyId: key?.id ?? null,
    keyVersion: key?.version ?? null,
    chargeMode: chargeModeFor(row.plan, keySource),
    priceBookVersion,
    streamed: request.streamed,
  }
}

/** The chosen key. One that does not open fails the call: there is no falling back to the platform's. */
function openKey(dispatch: Dispatch): Promise<string> | string {
  const { workspaceId, keyId, keyVersion } = dispatch
  if (keyId === null || keyVersion === null) return env().openrouterPlatformKey
  return openProviderKey({ workspaceId, keyId, keyVersion })
}

/**
 * Fixes everything about a call before it goes out: surface, model, tier, price-book version, and whose key pays.
 * @throws GatewayError; AppError `key_unavailable`
 */
export async function admit(
  row: AdmissionRow,
  request: ChatRequest,
  surfaceName: string | string[] | undefined,
  arrivedAt: number,
): Promise<Call> {
  const catalogue = await loadCatalogue()
  const surface = readSurface(surfaceName, catalogue)
  const model = findModel(request.model, catalogue)
  const book = priceBookAt(catalogue.books, new Date())
  if (!book?.tiers[model.tier])
    throw new GatewayError(
      503,
      'model_not_priced',
      'The model has no price at the moment. The operator must publish one.',
    )
  const dispatch = chooseDispatch(row, surface, model, request, book.version)
  const key = await openKey(dispatch)
  return {
    dispatch,
    provider: 'openrouter',
    model,
    book,
    promptTokensEstimate: request.promptTokensEstimate,
    key,
    arrivedAt,
  }
}
