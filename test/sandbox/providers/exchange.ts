import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import type { Scenario } from '../openrouter/scenario.ts'
import type { KeyRing, SandboxKey } from './keys.ts'

/** What arrived for one provider. The key itself is never kept, nor is a body that would hold it. */
export interface ProviderLine {
  at: string
  provider: ProviderId
  method: string
  /** Below the provider's prefix, with its query; requests to its other hosts begin with `/hosts/<host>`. */
  path: string
  /** The header that carried the key, or `sigv4` (`sigv4 refused` for a signature that does not hold); null without one. */
  auth: string | null
  /** sha256 of the key (AWS: of the access key id) in hex. */
  key: string | null
  headers: Record<string, string>
  /** As it arrived, `[form]` where it holds the key. */
  body: string
  status: number | null
  clientAborted: boolean
}

export interface ProviderFault {
  match?: { provider?: ProviderId; model?: string; path?: RegExp }
  scenario: Scenario
  times: number
}

export interface World {
  keys: KeyRing
  journal: ProviderLine[]
  faults: ProviderFault[]
  /** Providers of the unproven three whose lists of models answer to anybody. */
  openLists: Set<ProviderId>
  /** Milliseconds before the first piece and between pieces. */
  pace: { firstMs: number; gapMs: number }
  /** API versions that Azure does not know. */
  unknownApiVersions: Set<string>
}

/** One request on its way through the sandbox. */
export interface Exchange {
  world: World
  provider: ProviderId
  /** Below the provider's prefix, without the query. */
  path: string
  query: URLSearchParams
  request: IncomingMessage
  response: ServerResponse
  body: Buffer
  line: ProviderLine
  /** The text that proves who is asking. Only for echoing it back where a scenario wants that. */
  secret: string | null
  key: SandboxKey | undefined
  /** The signature was made with another secret than the one that belongs to the key. */
  badSignature: boolean
  severed: boolean
}

export function sendText(exchange: Exchange, status: number, text: string, headers: Record<string, string> = {}): void {
  const { response, line } = exchange
  line.status = status
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    server: 'sandbox-providers',
    'set-cookie': '__sandbox=1; Path=/',
    ...headers,
  })
  response.end(text)
}

export const sendJson = (
  exchange: Exchange,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void => sendText(exchange, status, JSON.stringify(value), headers)

/** Waits, or returns false when the client has left. */
export async function pause({ response }: Exchange, ms: number): Promise<boolean> {
  if (ms > 0) await delay(ms)
  return !response.destroyed
}

/** Writes and waits for room. False when the client has left. */
export async function writePiece({ response }: Exchange, piece: string | Buffer): Promise<boolean> {
  if (response.destroyed) return false
  if (response.write(piece)) return true
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.once('drain', done)
    response.once('close', done)
  })
  return !response.destroyed
}

/** Breaks the connection without the end of the message, as a provider that fails does. */
export function sever(exchange: Exchange): void {
  exchange.severed = true
  exchange.response.destroy()
}
