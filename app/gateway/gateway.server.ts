import type { IncomingMessage, ServerResponse } from 'node:http'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { hangUp } from '#app/domain/providers/dispatch-call.server.ts'
import { newId } from '#app/platform/ids.ts'
import { log } from '#app/platform/log.server.ts'
import { admit, surfaceHeader } from './admit.server.ts'
import { authenticate, readToken } from './authenticate.ts'
import { readChatRequest } from './chat-request.ts'
import { ClientResponse } from './client-response.ts'
import { asGatewayError, errorJson, GatewayError } from './gateway-error.ts'
import { landAll, takesCalls } from './in-flight.server.ts'
import { modelsJson } from './models.ts'
import { checkBodyHeaders, readBody } from './read-body.ts'
import { runCall } from './run-call.server.ts'

async function answerChat(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const arrivedAt = performance.now()
  const token = readToken(request)
  checkBodyHeaders(request)
  refuseWhileEnding()
  const [row, body] = await bothOf(authenticate(token), readBody(request))
  const call = await admit(row, readChatRequest(body), request.headers[surfaceHeader], arrivedAt)
  refuseWhileEnding() // a slow body may have come in meanwhile: sent now, its reply would be cut off by our own end
  const client = new ClientResponse(response, call.dispatch.id)
  if (response.destroyed) client.gone = true
  try {
    await runCall(call, body, client)
  } catch (error) {
    client.fail(asGatewayError(error))
  }
}

function refuseWhileEnding(): void {
  if (takesCalls()) return
  throw new GatewayError(503, 'shutting_down', 'This process is shutting down. Try again.', { retryAfterSeconds: 1 })
}

/** Waits for both; where the token is refused, that is the answer, whatever the body was. */
async function bothOf<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  second.catch(() => null)
  return [await first, await second]
}

async function answerModels(request: IncomingMessage, response: ServerResponse, id: string | null): Promise<void> {
  await authenticate(readToken(request))
  const body = modelsJson(await loadCatalogue(), id)
  if (body === null)
    throw new GatewayError(404, 'model_not_found', 'The model does not exist or is not offered here.', {
      param: 'model',
    })
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  }
  response.writeHead(200, headers).end(body)
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0] ?? ''
  const allowed =
    path === '/v1/chat/completions' ? 'POST' : path === '/v1/models' || path.startsWith('/v1/models/') ? 'GET' : null
  if (allowed === null)
    throw new GatewayError(
      404,
      'unknown_endpoint',
      'There is no such endpoint. See POST /v1/chat/completions and GET /v1/models.',
    )
  if (request.method !== allowed) {
    response.setHeader('allow', allowed)
    throw new GatewayError(405, 'method_not_allowed', `Use ${allowed} here.`)
  }
  if (allowed === 'POST') return answerChat(request, response)
  return answerModels(request, response, path === '/v1/models' ? null : decodeId(path.slice('/v1/models/'.length)))
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
  response.end(body, () => request.complete || request.destroy())
}

/** For operators' eyes, never a caller's: what an expected error says of itself, or the name of an unexpected one. */
function internalOf(thrown: unknown): string {
  const { internal, message, name } = thrown as { internal?: string; message?: string; name?: string }
  return internal ?? (thrown instanceof GatewayError ? '' : `${name}: ${message}`)
}

/** The handler of every URL under `/v1/`: plain Node HTTP in, no framework between. Never throws. */
export function createGatewayHandler(): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    serve(request, response).catch((error: unknown) => answerError(request, response, error))
  }
}

/**
 * Refuses new calls, lets those under way end for at most `ms`, and hangs up.
 * @returns calls that were still under way; their attempts stay open and the sweeper settles them
 */
export async function drainGateway(ms: number): Promise<number> {
  const left = await landAll(ms)
  await hangUp()
  return left
}
