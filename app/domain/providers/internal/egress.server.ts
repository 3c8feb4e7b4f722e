import { buildConnector, type Dispatcher, Pool } from 'undici'
import { env } from '#app/platform/env.server.ts'
import { dropSingleton, singleton } from '#app/platform/singleton.server.ts'
import { type ProviderId, providerIds, providerOf } from '../providers.ts'
import { isPublicAddress } from './address-guard.ts'

/** Where requests to a provider go: the host pinned in the registry, or the operator's replacement. */
interface Upstream {
  pool: Pool
  /** Path in front of every route, no trailing slash. */
  basePath: string
}

const connectTimeoutMs = 5_000
const keepAliveMs = 60_000

/**
 * Checks the address a socket really reached. A lookup hook would not do: it is never called for a host that is an IP
 * literal (security F6).
 */
function guardedConnector(): buildConnector.connector {
  const connect = buildConnector({ timeout: connectTimeoutMs, allowH2: false })
  return (options, callback) =>
    connect(options, (...result) => {
      const [error, socket] = result
      if (error || !socket || isPublicAddress(socket.remoteAddress)) return callback(...result)
      socket.destroy()
      callback(new Error('egress: the provider resolves to an address that is not public'), null)
    })
}

function openUpstream(id: ProviderId): Upstream {
  const override = env().providerBaseUrls[id]
  const base = new URL(override ?? providerOf(id).baseUrl)
  if (!override && base.protocol !== 'https:') throw new Error(`egress: ${id} must be reached over https`)
  const pool = new Pool(base.origin, {
    connections: null,
    pipelining: 1,
    keepAliveTimeout: keepAliveMs,
    allowH2: false,
    connect: override ? { timeout: connectTimeoutMs, allowH2: false } : guardedConnector(),
  })
  return { pool, basePath: base.pathname.replace(/\/+$/, '') }
}

const upstreamOf = (id: ProviderId): Upstream => singleton(`egress:${id}`, () => openUpstream(id))

export interface EgressRequest {
  method: 'GET' | 'POST'
  /** Route below the provider's base URL, with its query. */
  path: string
  /** Names and values in turn. */
  headers: string[]
  body: Buffer | null
  /** Milliseconds until the headers must be there, and between two pieces of the body. */
  headersTimeoutMs: number
  idleTimeoutMs: number
}

/**
 * The one way out to providers. Redirects are not followed (a 307 would carry the key and the prompt to another host),
 * proxies from the environment are not used, and no encoding is asked for, so the bytes can be read as they pass.
 */
export function dispatch(id: ProviderId, request: EgressRequest, handler: Dispatcher.DispatchHandler): void {
  const { pool, basePath } = upstreamOf(id)
  pool.dispatch(
    {
      method: request.method,
      path: `${basePath}${request.path}`,
      headers: request.headers,
      body: request.body,
      headersTimeout: request.headersTimeoutMs,
      bodyTimeout: request.idleTimeoutMs,
    },
    handler,
  )
}

/** Ends all connections to providers. For shutdown and between tests. */
export async function closeEgress(): Promise<void> {
  for (const id of providerIds) {
    const held = singleton<Upstream | null>(`egress:${id}`, () => null)
    dropSingleton(`egress:${id}`)
    await held?.pool.destroy()
  }
}
