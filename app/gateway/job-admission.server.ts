import type { IncomingMessage } from 'node:http'
import { fullBudgets } from '#app/domain/budgets/full-budgets.server.ts'
import { availableCredits } from '#app/domain/credits/available-credits.server.ts'
import { isSubscriptionActive } from '#app/domain/credits/credits.ts'
import { chargeModeFor, type KeySource, looksForOwnKey, platformServes } from '#app/domain/plans/plans.ts'
import { needsDollars } from '#app/domain/pricing/currency.ts'
import { type Catalogue, loadCatalogue, type Surface } from '#app/domain/pricing/queries.server.ts'
import { displayUsd, picoToUsd } from '#app/platform/pico.ts'
import type { Admission } from './admission.server.ts'
import { otherCurrency, readSurface } from './admit.server.ts'
import { authenticate, readToken } from './authenticate.ts'
import { badRequest, GatewayError } from './gateway-error.ts'
import { checkBodyHeaders, readBody } from './read-body.ts'
import { chooseRoute, usableKeys } from './route.server.ts'

export const jobAdmissionPath = '/v1/admission'

/** In bytes: a kind, a surface and a model. */
const largestBody = 16 * 1024

interface Reason {
  code: string
  message: string
}

interface Job {
  kind: string
  surface: Surface
  model: string | null
}

const members = new Set(['kind', 'surface', 'model'])

function readJob(bytes: Buffer, catalogue: Catalogue): Job {
  if (bytes.length > largestBody)
    throw new GatewayError(413, 'body_too_large', 'A body that describes a job is at most 16 KiB.')
  let given: unknown
  try {
    given = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw badRequest('invalid_json', 'The body is no JSON.')
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw badRequest('invalid_json', 'The body must be a JSON object.')
  const bag = given as Record<string, unknown>
  const unknown = Object.keys(bag).find((name) => !members.has(name))
  if (unknown !== undefined)
    throw badRequest(
      'unsupported_parameter',
      "There is a parameter that is not known here: 'kind', 'surface' and 'model' are.",
    )
  const { kind, surface, model = null } = bag
  if (typeof kind !== 'string' || !/^[a-zA-Z][\w.:-]{0,63}$/.test(kind))
    throw badRequest(
      'invalid_parameter',
      "'kind' must name the kind of job: 1 to 64 letters, digits and _ . : -",
      'kind',
    )
  if (surface !== undefined && surface !== null && (typeof surface !== 'string' || !catalogue.surfaces.has(surface)))
    throw badRequest('unknown_surface', "'surface' names a surface that is not known here.", 'surface')
  if (model !== null && (typeof model !== 'string' || !/^[\x21-\x7e]{1,200}$/.test(model)))
    throw badRequest('invalid_parameter', "'model' must be the id of a model.", 'model')
  return { kind, surface: readSurface((surface as string | null) ?? undefined, catalogue), model }
}

type Payer = { keySource: KeySource; keyId: string | null } | Reason

/** Whose key a call of the job would go out under. */
async function payerOf(admission: Admission, catalogue: Catalogue, { surface, model }: Job): Promise<Payer> {
  if (model !== null) {
    try {
      const route = await chooseRoute(admission, catalogue, {
        model,
        endpoint: 'chat',
        surface,
        providerHeader: undefined,
      })
      return { keySource: route.keySource, keyId: route.key?.id ?? null }
    } catch (error) {
      if (error instanceof GatewayError) return { code: error.code, message: error.message }
      throw error
    }
  }
  const own = looksForOwnKey({ ...admission, surfaceIsBackground: surface.background })
    ? (await usableKeys(admission, surface))[0]
    : undefined
  if (own) return { keySource: 'workspace', keyId: own.id }
  if (platformServes(admission)) return { keySource: 'platform', keyId: null }
  return {
    code: 'key_required',
    message: admission.plan.allowedProviders.length
      ? 'The workspace has no enabled key for this, and never uses the platform key. Save a key under Settings → Billing.'
      : 'The workspace never uses the platform key, and its plan has no keys of its own. Allow the platform key again under Settings → Billing.',
  }
}

const standing = (admission: Admission): Reason[] => {
  if (admission.suspended)
    return [{ code: 'workspace_suspended', message: 'The workspace is suspended because nobody pays for it.' }]
  if (isSubscriptionActive(admission.subscriptionStatus)) return []
  return [
    {
      code: 'subscription_inactive',
      message: `The workspace’s subscription is ${admission.subscriptionStatus}. Renew it under Settings → Billing.`,
    },
  ]
}

/**
 * Whether the workspace may queue a job now: an active subscription, a key that pays (its own, or the platform's with credits of
 * at least what its plan asks for), and room in every hard budget. All that stands against it is said, not only the first. It
 * promises nothing: each call of the job is decided again when it is sent.
 */
export async function answerJobAdmission(request: IncomingMessage): Promise<unknown> {
  const token = readToken(request)
  checkBodyHeaders(request)
  const body = readBody(request)
  body.catch(() => null)
  const { admission } = await authenticate(token, { fresh: true })
  const catalogue = await loadCatalogue()
  const job = readJob(await body, catalogue)
  const { plan, workspaceId, tokenId } = admission
  const reasons = standing(admission)
  const payer = await payerOf(admission, catalogue, job)
  const onCredits = plan.platformChargeMode === 'credits'
  const availablePico = onCredits ? await availableCredits(workspaceId) : 0n
  if ('code' in payer) reasons.push(payer)
  else {
    const { keySource, keyId } = payer
    const minimumPico = plan.minimumCreditsPico > 0n ? plan.minimumCreditsPico : 1n
    if (keySource === 'platform' && onCredits && plan.creditOverage === 'stop' && availablePico < minimumPico)
      reasons.push({
        code: 'insufficient_credits',
        message: `The workspace has ${displayUsd(availablePico, 2, 12)} in credits, and a job needs at least ${displayUsd(minimumPico, 2, 12)}. Buy credits, or save a provider key, under Settings.`,
      })
    const mode = chargeModeFor(plan, keySource)
    if (admission.currency !== 'usd' && (onCredits || needsDollars(mode))) {
      const { code, message } = otherCurrency()
      reasons.push({ code, message })
    }
    const charges = mode !== 'pass_through' && mode !== 'flat_fee'
    for (const name of admission.hardBudgets ? await fullBudgets({ workspaceId, tokenId, keyId, charges }) : [])
      reasons.push({
        code: 'budget_exceeded',
        message: `The budget '${name}' has no room left. Have it raised under Settings → Budgets.`,
      })
  }
  return {
    ...{ allowed: reasons.length === 0, reasons, kind: job.kind, surface: job.surface.id, model: job.model },
    key_source: 'code' in payer ? null : payer.keySource,
    credits: onCredits
      ? { available_usd: picoToUsd(availablePico), minimum_usd: picoToUsd(plan.minimumCreditsPico) }
      : null,
  }
}
