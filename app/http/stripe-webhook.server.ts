import type { IncomingMessage, ServerResponse } from 'node:http'
import { receiveStripeEvent } from '#app/domain/billing/receive-stripe-event.server.ts'
import { endUnread } from '#app/platform/end-unread.ts'
import { AppError, httpStatusOf } from '#app/platform/errors.ts'
import { log } from '#app/platform/log.server.ts'

const BODY_BYTES_MAX = 1024 * 1024

async function readRaw(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  let size = 0
  // Left open where it is given up: the answer goes out over the same connection.
  for await (const piece of request.iterator({ destroyOnReturn: false })) {
    size += (piece as Buffer).length
    if (size > BODY_BYTES_MAX) throw new AppError('too_large', 'event_too_large', 'Events are at most 1 MiB.')
    pieces.push(piece as Buffer)
  }
  return Buffer.concat(pieces)
}

function answer(request: IncomingMessage, response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...(request.complete ? {} : { connection: 'close' }),
  })
  if (request.complete) response.end(text)
  else endUnread(request, response, text)
}

/** POST /webhooks/stripe: the raw bytes, because the signature covers them. Cookies are ignored. */
export async function handleStripeWebhook(request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    if (request.method !== 'POST') return answer(request, response, 405, { error: 'POST only' })
    const rawBody = await readRaw(request)
    const signature = request.headers['stripe-signature']
    await receiveStripeEvent({ rawBody, signature: typeof signature === 'string' ? signature : '', now: new Date() })
    answer(request, response, 200, { received: true })
  } catch (error) {
    if (error instanceof AppError && error.kind !== 'unavailable')
      return answer(request, response, httpStatusOf[error.kind], { error: error.code })
    // Not stored: Stripe must send it again.
    log.error({ reason: (error as Error).message }, 'webhook could not be stored')
    answer(request, response, 500, { error: 'not_stored' })
  }
}
