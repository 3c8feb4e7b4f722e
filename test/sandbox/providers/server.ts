import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isProviderId, type ProviderId, providerIds } from '#app/domain/providers/provider.ts'
import { answerAccount } from './account.ts'
import { readPresented } from './auth.ts'
import { answerCall } from './call.ts'
import { sendError } from './errors.ts'
import type { Exchange, ProviderFault, ProviderLine, World } from './exchange.ts'
import { fingerprintOf, KeyRing, type SandboxKey } from './keys.ts'

export interface ProvidersSandbox {
  /** `http://127.0.0.1:PORT`; each provider lives below its id. */
  origin: string
  baseUrl(provider: ProviderId): string
  /** `PROVIDER_BASE_URL_*` of all providers, or of those named. Without a name OpenRouter is left out: it has a sandbox of its own. */
  settings(providers?: ProviderId[]): Record<string, string>
  journal(): ProviderLine[]
  /** Requests to models only. */
  calls(provider?: ProviderId): ProviderLine[]
  setKey(key: string, change: Partial<SandboxKey>): void
  /** The next `times` (default 1) requests to models that match get the scenario. */
  fault(fault: Omit<ProviderFault, 'times'> & { times?: number }): void
  /** Lists of akash, hyperbolic and morpheus: open to everybody, or for keys only. */
  openList(provider: ProviderId, open: boolean): void
  pace(firstMs: number, gapMs: number): void
  close(): Promise<void>
}

export interface ProvidersSandboxOptions {
  /** 0 or nothing: any free port. */
  port?: number
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

/** Headers that say something about the caller; never those that carry a key. */
const told = /^(?:x-request-id|x-stainless-|anthropic-version|content-type|accept|user-agent|x-sandbox|x-amz-date)/

function openExchange(world: World, request: IncomingMessage, response: ServerResponse, body: Buffer): Exchange | null {
  const url = request.url ?? '/'
  const [, id = '', rest = '/'] = /^\/([a-z-]+)(\/[^?]*)?/.exec(url) ?? []
  if (!isProviderId(id)) return null
  const { auth, secret, badSignature } = readPresented(id, rest, request, body)
  const line: ProviderLine = {
    at: new Date().toISOString(),
    provider: id,
    method: request.method ?? '',
    path: url.slice(id.length + 1) || '/',
    auth,
    key: secret === null ? null : fingerprintOf(secret),
    headers: Object.fromEntries(
      Object.entries(request.headers).flatMap(([name, value]) => (told.test(name) ? [[name, String(value)]] : [])),
    ),
    body: auth === 'form' ? '[form]' : body.toString('utf8'),
    status: null,
    clientAborted: false,
  }
  const query = new URLSearchParams(url.split('?')[1] ?? '')
  const key = secret === null ? undefined : world.keys.find(secret)
  const rest2 = { path: rest, query, request, response, body, line, secret, key, badSignature, severed: false }
  const exchange: Exchange = { world, provider: id, ...rest2 }
  response.once('close', () => {
    line.clientAborted = !response.writableFinished && !exchange.severed
  })
  return exchange
}

async function answer(world: World, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const exchange = openExchange(world, request, response, await readBody(request))
  if (!exchange) {
    response.writeHead(404).end('sandbox: no such provider')
    return
  }
  world.journal.push(exchange.line)
  if (!(await answerAccount(exchange)) && !(await answerCall(exchange))) sendError(exchange, 404, 'Not Found')
}

function handle(world: World, request: IncomingMessage, response: ServerResponse): void {
  answer(world, request, response).catch((error: unknown) => {
    if (response.headersSent) response.destroy()
    else response.writeHead(500).end(`sandbox: ${error instanceof Error ? error.message : 'failed'}`)
  })
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

export const baseUrlSetting = (provider: string): string =>
  `PROVIDER_BASE_URL_${provider.toUpperCase().replaceAll('-', '_')}`

const callPaths = /\/(?:chat\/completions|responses|messages|converse|converse-stream|embeddings|rerank)(?:\?|$)/

/** Starts all 22 providers of our own on one port of 127.0.0.1, for tests, demos and development. */
export async function startProvidersSandbox(options: ProvidersSandboxOptions = {}): Promise<ProvidersSandbox> {
  if (process.env.NODE_ENV === 'production') throw new Error('The sandbox never runs with NODE_ENV=production')
  const world: World = {
    keys: new KeyRing(),
    journal: [],
    faults: [],
    openLists: new Set(['hyperbolic']),
    pace: { firstMs: 0, gapMs: 0 },
    unknownApiVersions: new Set(['2024-10-21-preview', '2019-01-01']),
  }
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) =>
    handle(world, request, response),
  )
  const origin = `http://127.0.0.1:${await listen(server, options.port ?? 0)}`
  const baseUrl = (provider: ProviderId) => `${origin}/${provider}`
  return {
    origin,
    baseUrl,
    settings: (providers = providerIds.filter((id) => id !== 'openrouter')) =>
      Object.fromEntries(providers.map((id) => [baseUrlSetting(id), baseUrl(id)])),
    journal: () => world.journal,
    calls: (provider) =>
      world.journal.filter((line) => callPaths.test(line.path) && (provider ?? line.provider) === line.provider),
    setKey: (key, change) => world.keys.change(key, change),
    fault: (fault) => void world.faults.push({ times: 1, ...fault }),
    openList: (provider, open) => void (open ? world.openLists.add(provider) : world.openLists.delete(provider)),
    pace: (firstMs, gapMs) => void Object.assign(world.pace, { firstMs, gapMs }),
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
