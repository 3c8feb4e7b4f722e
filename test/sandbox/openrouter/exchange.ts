import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { JournalLine } from './journal.ts'
import { fingerprintOf, type KeyState } from './keys.ts'
import type { World } from './world.ts'

/** One request on its way through the sandbox, with the journal line it is going to leave. */
export interface Exchange {
  world: World
  request: IncomingMessage
  response: ServerResponse
  line: JournalLine
  /** The bearer value. Only for echoing it back where a scenario asks for that. */
  bearer: string | null
  key: KeyState | undefined
  /** The sandbox itself broke the connection: not the client's doing. */
  severed: boolean
}

let count = 0

export function openExchange(world: World, request: IncomingMessage, response: ServerResponse): Exchange {
  const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? null
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(request.headers)) {
    if (name.startsWith('x-') || name === 'http-referer') headers[name] = String(value)
  }
  count += 1
  const line: JournalLine = {
    event: 'arrived',
    at: new Date().toISOString(),
    request: `${process.pid}-${Date.now()}-${count}`,
    method: request.method ?? '',
    path: request.url ?? '',
    key: bearer === null ? null : fingerprintOf(bearer),
    headers,
    model: null,
    generation: null,
    status: null,
    usage: null,
    cost: null,
    completed: false,
    clientAborted: false,
  }
  const key = bearer === null ? undefined : world.keys.find(bearer)
  const exchange: Exchange = { world, request, response, line, bearer, key, severed: false }
  response.once('close', () => {
    line.clientAborted = !response.writableFinished && !exchange.severed
  })
  return exchange
}

/** Tears the connection down without the end of the message, as a provider that fails does. */
export function sever(exchange: Exchange): void {
  exchange.severed = true
  exchange.response.destroy()
}

export function closeExchange(exchange: Exchange): void {
  exchange.line.event = 'ended'
  exchange.line.at = new Date().toISOString()
  exchange.world.journal.append(exchange.line)
}

export function sendJson(exchange: Exchange, status: number, body: string, headers: Record<string, string> = {}): void {
  exchange.line.status = status
  if (exchange.response.headersSent || exchange.response.destroyed) return
  exchange.response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    server: 'sandbox-openrouter',
    'set-cookie': '__sandbox=1; Path=/',
    ...headers,
  })
  exchange.response.end(body)
}

export interface ErrorReply {
  message: string
  type: string
  metadata?: Record<string, unknown>
  headers?: Record<string, string>
}

/** OpenRouter's error body (providers §1.9). */
export function errorJson(status: number, reply: ErrorReply): string {
  return JSON.stringify({
    error: { code: status, message: reply.message, metadata: { error_type: reply.type, ...reply.metadata } },
    user_id: 'user_sandbox',
  })
}

export function sendError(exchange: Exchange, status: number, reply: ErrorReply): void {
  sendJson(exchange, status, errorJson(status, reply), reply.headers)
}

/** Waits, or returns false at once when the client has left. */
export async function pause(exchange: Exchange, ms: number): Promise<boolean> {
  if (ms > 0) await delay(ms)
  return !exchange.response.destroyed
}

/** Writes and waits for room, as a provider does for a slow reader. False when the client has left. */
export async function writePiece(exchange: Exchange, piece: string | Buffer): Promise<boolean> {
  const { response } = exchange
  if (response.destroyed) return false
  if (response.write(piece)) return true
  exchange.world.blocked += 1
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.once('drain', done)
    response.once('close', done)
  })
  exchange.world.blocked -= 1
  return !response.destroyed
}
