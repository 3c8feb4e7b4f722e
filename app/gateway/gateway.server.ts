import type { IncomingMessage, ServerResponse } from 'node:http'
import { flushUnpriced } from '#app/domain/pricing/note-unpriced.server.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { hangUp } from '#app/domain/providers/dispatch-call.server.ts'
import type { Endpoint } from '#app/domain/providers/provider.ts'
import { flushKeyHealth } from '#app/domain/vault/note-key-health.server.ts'
import { endUnread } from '#app/platform/end-unread.ts'
import { newId } from '#app/platform/ids.ts'
import { log } from '#app/platform/log.server.ts'
import { admit, type CallHeaders, readSurface, surfaceHeader } from './admit.server.ts'
import { authenticate, readToken } from './authenticate.ts'
import type { Call } from './call.ts'
import { ClientResponse } from './client-response.ts'
import { endpointAt, lacksVersion, modelsPath } from './endpoints.ts'
import { asGatewayError, errorJson, GatewayError } from './gateway-error.ts'
import { beginAnswer, drainFlight, endAnswer, landAll, takesCalls } from './in-flight.server.ts'
import { readInferenceRequest } from './inference-request.ts'
import { answerJobAdmission, jobAdmissionPath } from './job-admission.server.ts'
import { listModels, modelsJson } from './models.server.ts'
import { openapiJson, openapiPath } from './openapi.ts'
import { checkBodyHeaders, readBody } from './read-body.ts'
import { spendRefusal } from './refuse-spend.server.ts'
import { providerHeader } from './route.server.ts'
import { type CallEnd, runCall, writeAttempt } from './run-call.server.ts'
import { admitStandIn } from './stand-in.server.ts'
import { answerUsageEvents, usageEventsPath } from './usage-events.server.ts'

/** How often a call is decided anew because what it was decided on changed meanwhile. */
const mostDecisions = 5

/**
 * A call that is admitted and has its attempt written. What the process remembers of a token decides first; where that turns
 * out to be stale, or refuses the call, the database is asked afresh and decides.
 */
async function openCall(
  tokenHash: Buffer,
  body: Promise<Buffer>,
  endpoint: Endpoint,
  headers: CallHeaders,
): Promise<Call> {
  const circumstances = { arrivedAt: performance.now(), beyondCredits: false }
  for (let decision = 1; ; decision += 1) {
    const { admission, fresh } = await authenticate(tokenHash, { fresh: decision > 1 })
    const request = readInferenceRequest(endpoint, await body)
    try {
      const call = await admit(admission, request, headers, circumstances)
      refuseWhileEnding() // a slow body may have come in meanwhile: sent now, its reply would be cut off by our own end
      const written = await writeAttempt(call)
      if (written === 'opened') return call
      // Others took the room meanwhile: decided anew, it goes out with a smaller limit. The last decision is left for a plan
      // that bills what goes beyond its credits.
      if (written !== 'stale' && !(call.canShrink && decision < mostDecisions - 1)) {
        if (written !== 'credits' || admission.plan.creditOverage !== 'bill') throw await spendRefusal(call, written)
        circumstances.beyondCredits = true
      }
    } catch (error) {
      if (fresh || decision > 1) throw error
    }
    if (decision === mostDecisions)
      throw new GatewayError(503, 'workspace_changing', 'The workspace is being changed. Try again.', {
        retryAfterSeconds: 1,
      })
  }
}

async function answerCall(endpoint: Endpoint, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const token = readToken(request)
  checkBodyHeaders(request)
  refuseWhileEnding()
  const body = readBody(request)
  body.catch(() => null) // where the token is refused, that is the answer, whatever the body was
  const headers = { surface: request.headers[surfaceHeader], provider: request.headers[providerHeader] }
  const call = await openCall(token, body, endpoint, headers)
  const client = new ClientResponse(response, call.dispatch.id, drainFlight)
  if (response.destroyed) client.gone = true
  try {
    const end = await runCall(call, client)
    if (end.kind === 'refused') await standInFor(call, end, client)
  } catch (error) {
    client.fail(asGatewayError(error))
  }
}

async function standInFor(
  call: Call,
  end: Extract<CallEnd, { kind: 'refused' }>,
  client: ClientResponse,
): Promise<void> {
  const standIn = takesCalls() ? await admitStandIn(call, end.status) : null
  if (!standIn) return end.answer()
  try {
    // Where it cannot be written, or what it was decided on has changed, the refusal is the answer.
    if ((await writeAttempt(standIn.call).catch(() => 'stale')) !== 'opened') return end.answer()
    standIn.sent()
    await runCall(standIn.call, client)
  } finally {
    standIn.release()
  }
}

function refuseWhileEnding(): void {
  if (takesCalls()) return
  throw new GatewayError(503, 'shutting_down', 'This process is shutting down. Try again.', { retryAfterSeconds: 1 })
}

async function answerModels(request: IncomingMessage, response: ServerResponse, id: string | null): Promise<void> {
  const { admission } = await authenticate(readToken(request), { fresh: true })
  const catalogue = await loadCatalogue()
  const surface = readSurface(request.headers[surfaceHeader], catalogue)
  const models = await listModels(admission, catalogue, surface.id)
  const one = id === null ? undefined : models.find((model) => model.id === id)
  if (id !== null && !one)
    throw new GatewayError(404, 'model_not_found', 'The model does not exist or cannot be called with this token.', {
      param: 'model',
    })
  sendJson(response, one ? JSON.stringify(one) : modelsJson(models))
}

function sendJson(response: ServerResponse, body: string): void {
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  }
  response.writeHead(200, headers).end(body)
}

/** Endpoints that are no calls: what they answer is small, and asked of the database each time. */
const questions = new Map<string, (request: IncomingMessage) => Promise<unknown>>([
  [usageEventsPath, answerUsageEvents],
  [jobAdmissionPath, answerJobAdmission],
])

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0] ?? ''
  const endpoint = endpointAt(path)
  const readable = path === modelsPath || path.startsWith(`${modelsPath}/`) || path === openapiPath
  const question = questions.get(path)
  const allowed = endpoint || question ? 'POST' : readable ? 'GET' : null
  if (allowed === null) {
    const wayOn = lacksVersion(path)
      ? "The client's base URL has to end with /v1."
      : `GET ${openapiPath} describes those there are.`
    throw new GatewayError(404, 'unknown_endpoint', `There is no such endpoint. ${wayOn}`)
  }
  if (request.method !== allowed) {
    response.setHeader('allow', allowed)
    throw new GatewayError(405, 'method_not_allowed', `Use ${allowed} here.`)
  }
  if (endpoint) return answerCall(endpoint, request, response)
  if (question) return sendJson(response, JSON.stringify(await question(request)))
  if (path === openapiPath) return sendJson(response, openapiJson())
  return answerModels(request, response, path === modelsPath ? null : decodeId(path.slice(modelsPath.length + 1)))
}

function decodeId(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}

function answerError(request: IncomingMessage, response: ServerResponse, thrown: unknown): void {
  const error = asGatewayError(thrown)
  if (error.status >= 500) log.error({ code: error.code, internal: internalOf(thrown) }, 'a call was not served')
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const id = newId()
  const body = errorJson(error, id)
  response.writeHead(error.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-request-id': id,
    ...(error.retryAfterSeconds === null ? {} : { 'retry-after': String(error.retryAfterSeconds) }),
    // What is left of a body that was not read would otherwise be taken for the next request.
    ...(request.complete ? {} : { connection: 'close' }),
  })
  if (request.complete) response.end(body)
  else endUnread(request, response, body)
}

/** For operators' eyes, never a caller's: what an expected error says of itself, or the name of an unexpected one. */
function internalOf(thrown: unknown): string {
  const { internal, message, name } = thrown as { internal?: string; message?: string; name?: string }
  return internal ?? (thrown instanceof GatewayError ? '' : `${name}: ${message}`)
}

/** The handler of every URL under `/v1/`, and of those that should be: plain Node HTTP in, no framework between. Never throws. */
export function createGatewayHandler(): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    beginAnswer()
    serve(request, response)
      .catch((error: unknown) => answerError(request, response, error))
      .finally(endAnswer)
  }
}

/**
 * Refuses new calls, lets those under way end for at most `ms`, and hangs up.
 * @returns calls that were still under way; their attempts stay open and the sweeper settles them
 */
export async function drainGateway(ms: number): Promise<number> {
  const left = await landAll(ms)
  await Promise.all([flushKeyHealth(), flushUnpriced()])
  await hangUp()
  return left
}
