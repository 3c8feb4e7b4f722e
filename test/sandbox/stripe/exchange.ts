/** One API request from arrival to answer: route, faults, idempotency, parameters, execution, in Stripe's order. */
import type { AccountLimits } from './account-limits.ts'
import { catalogueOperations } from './catalogue.ts'
import { chargeOperations } from './charges.ts'
import { checkoutOperations } from './checkout-sessions.ts'
import { creditNoteOperations } from './credit-notes.ts'
import { customerBalanceOperations } from './customer-balance.ts'
import { customerOperations } from './customers.ts'
import { StripeApiError } from './errors.ts'
import { eventOperations } from './events.ts'
import { expandPaths } from './expansion.ts'
import type { FaultPlan, FaultRule } from './faults.ts'
import { type Form, parseForm } from './form.ts'
import { fingerprintOf, type IdempotencyStore } from './idempotency.ts'
import { invoiceExtraOperations } from './invoice-extras.ts'
import { invoiceItemOperations } from './invoice-items.ts'
import { invoiceSearchOperations } from './invoice-search.ts'
import { invoiceOperations } from './invoices.ts'
import type { Operation } from './operation.ts'
import { parseParams } from './params.ts'
import { paymentMethodOperations } from './payment-methods.ts'
import { portalOperations } from './portal-sessions.ts'
import { scheduleOperations } from './subscription-schedules.ts'
import { subscriptionOperations } from './subscriptions.ts'
import { clockOf } from './test-clock-time.ts'
import { testClockOperations } from './test-clocks.ts'
import { webhookEndpointOperations } from './webhook-endpoints.ts'
import type { World } from './world.ts'

export interface ApiRequest {
  method: string
  pathname: string
  /** Text of the form: the body, or the query string of GET and DELETE. */
  form: string
  authorization: string | undefined
  idempotencyKey: string | undefined
}

export interface ApiAnswer {
  status: number
  body: string
  requestId: string
  operation: string
  params: Form
  replayed: boolean
  /** Stored under the key and shown when replayed; absent when the fault must be acted out by the transport. */
  transport?: 'timeout' | 'socket_close' | 'malformed_json'
  /** A fault wrote this answer, so it proves nothing about the contract. */
  faulty: boolean
}

// The first pattern that fits wins, so what looks like an id to another comes first (`/v1/invoices/search`).
const ROUTES = [
  ...invoiceSearchOperations,
  ...invoiceExtraOperations,
  ...creditNoteOperations,
  ...checkoutOperations,
  ...portalOperations,
  ...scheduleOperations,
  ...testClockOperations,
  ...chargeOperations,
  ...customerBalanceOperations,
  ...webhookEndpointOperations,
  ...customerOperations,
  ...paymentMethodOperations,
  ...catalogueOperations,
  ...subscriptionOperations,
  ...invoiceOperations,
  ...invoiceItemOperations,
  ...eventOperations,
].map((operation) => ({ operation, pattern: new RegExp(`^${operation.path.replace('{id}', '([^/]+)')}$`) }))

export interface Parts {
  world: World
  faults: FaultPlan
  limits: AccountLimits
  idempotency: IdempotencyStore
}

/** Never throws: everything that goes wrong becomes an error envelope. */
export async function answer(parts: Parts, request: ApiRequest): Promise<ApiAnswer> {
  const requestId = parts.world.newId('req')
  const draft = { requestId, operation: 'unknown', params: {} as Form, replayed: false, faulty: false }
  try {
    requireKey(request.authorization)
    const found = route(request)
    draft.operation = found.operation.name
    draft.params = parseForm(request.form)
    parts.limits.admit(found.operation.name)
    const fault = parts.faults.strike(found.operation.name)
    return { ...draft, ...(await executeOnce(parts, request, found, draft.params, requestId, fault)) }
  } catch (error) {
    if (!(error instanceof StripeApiError)) throw error
    return { ...draft, status: error.status, body: JSON.stringify(error.body(), null, 2) }
  }
}

type Outcome = Pick<ApiAnswer, 'status' | 'body'> & Partial<ApiAnswer>
type Found = ReturnType<typeof route>

async function executeOnce(
  parts: Parts,
  request: ApiRequest,
  found: Found,
  form: Form,
  requestId: string,
  fault: FaultRule | undefined,
): Promise<Outcome> {
  const key = found.operation.method === 'POST' ? request.idempotencyKey : undefined
  const fingerprint = fingerprintOf(request.method, request.pathname, request.form)
  const early = fault?.when === 'before' ? strikeBefore(fault) : undefined
  if (early && fault?.effect !== 'lock_timeout') return { ...early, faulty: true }
  const stored = key === undefined ? undefined : parts.idempotency.lookUp(key, fingerprint)
  if (stored)
    return {
      status: stored.status,
      body: stored.body,
      replayed: true,
      requestId: stored.requestId,
      ...transportOf(fault),
    }
  if (early) {
    if (key) parts.idempotency.end(key, { fingerprint, requestId, ...early })
    return { ...early, faulty: true }
  }
  const params = parseParams(found.operation.params, form)
  if (key) parts.idempotency.begin(key)
  if (fault?.effect === 'slow' && fault.when === 'before') await dawdle(fault)
  let outcome = execute(parts.world, found, params, { id: requestId, idempotency_key: key ?? null })
  if (fault?.when === 'after') {
    if (fault.effect === 'slow') await dawdle(fault)
    else fault.onHit?.()
    if (fault.effect === 'server_error') outcome = { ...serverError(), faulty: true }
  }
  if (key) parts.idempotency.end(key, { fingerprint, requestId, status: outcome.status, body: outcome.body })
  return { ...outcome, ...transportOf(fault) }
}

function execute(
  world: World,
  { operation, id }: Found,
  params: unknown,
  mark: NonNullable<World['request']>,
): Outcome {
  world.request = mark
  const clock = clockOf(world, params, id)
  try {
    const body = world.at(clock, () => operation.run(world, params, id))
    const { expand = [] } = params as { expand?: string[] }
    const answered = { status: 200, body: JSON.stringify(expandPaths(world, body, expand), null, 2) }
    world.request = null
    world.at(clock, () => operation.after?.(world, id))
    return answered
  } catch (error) {
    if (!(error instanceof StripeApiError)) throw error
    return { status: error.status, body: JSON.stringify(error.body(), null, 2) }
  } finally {
    world.request = null
  }
}

async function dawdle({ onHit, until, delayMs = until ? 0 : 200 }: FaultRule): Promise<void> {
  onHit?.()
  await new Promise((resolve) => setTimeout(resolve, delayMs))
  await until?.()
}

function strikeBefore(fault: FaultRule): Outcome | undefined {
  if (fault.effect === 'slow') return undefined
  fault.onHit?.()
  const body = (type: 'api_error' | 'idempotency_error' | 'invalid_request_error', status: number, code: string) => ({
    status,
    body: JSON.stringify(new StripeApiError(status, type, `Sandbox fault: ${code}`, { code }).body()),
  })
  if (fault.effect === 'rate_limit') return body('invalid_request_error', 429, 'rate_limit')
  if (fault.effect === 'lock_timeout') return body('invalid_request_error', 429, 'lock_timeout')
  if (fault.effect === 'conflict') return body('idempotency_error', 409, 'idempotency_key_in_use')
  if (fault.effect === 'not_found_without_error') return { status: 404, body: '{"message":"Not Found"}' }
  if (fault.effect === 'server_error') return serverError()
  return { status: 500, body: '', ...transportOf(fault) }
}

function serverError(): { status: number; body: string } {
  return { status: 500, body: JSON.stringify(new StripeApiError(500, 'api_error', 'Sandbox fault').body()) }
}

function transportOf(fault: FaultRule | undefined): Pick<ApiAnswer, 'transport'> {
  const effect = fault?.effect
  return effect === 'timeout' || effect === 'socket_close' || effect === 'malformed_json' ? { transport: effect } : {}
}

function requireKey(authorization: string | undefined): void {
  if (/^Bearer sk_test_\w+$/.test(authorization ?? '')) return
  throw new StripeApiError(401, 'invalid_request_error', 'Invalid API Key provided: the sandbox takes sk_test_… only.')
}

function route(request: ApiRequest): { operation: Operation; id: string } {
  for (const { operation, pattern } of ROUTES) {
    const match = operation.method === request.method ? pattern.exec(request.pathname) : null
    if (match) return { operation, id: decodeURIComponent(match[1] ?? '') }
  }
  const message = `Unrecognized request URL (${request.method}: ${request.pathname}).`
  throw new StripeApiError(404, 'invalid_request_error', message)
}
