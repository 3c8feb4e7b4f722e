import { type Dispatcher, Pool } from 'undici'
import { env } from '#app/platform/env.server.ts'
import { log } from '#app/platform/log.server.ts'
import { dropSingleton, singleton } from '#app/platform/singleton.server.ts'
import type { Credential } from '../credential.ts'
import type { Place, Provider } from '../provider.ts'
import { allProviders } from '../registry.ts'
import { connectTimeoutMs, guardedConnector } from './guarded-connect.server.ts'
import { signAws } from './sign-aws.server.ts'

/** Connections to one base URL. */
interface Upstream {
  pool: Pool
  origin: string
  /** Path in front of every route, no trailing slash. */
  basePath: string
  /** Made for a credential's own host, of which there may be any number. */
  ofCredential: boolean
  /** Monotonic ms. */
  lastUsedAt: number
}

const keepAliveMs = 60_000
/** Response headers larger than this, all together, end the call (security §4c, item 155). In bytes. */
const largestHeaders = 32 * 1024
/** Pools of credentials' own hosts that are kept, and for how long without use. */
const mostOwnHosts = 256
const idleMs = 5 * 60_000

/** A replacement for a provider that does not exist is a spelling mistake of which nothing else would tell. */
function openEgress(): Map<string, Upstream> {
  const unknown = Object.keys(env().providerBaseUrls).filter((id) => !allProviders().some((row) => row.id === id))
  for (const id of unknown) log.warn({ id }, 'a PROVIDER_BASE_URL setting names no provider')
  return new Map()
}

const upstreams = () => singleton('egress', openEgress)

function openUpstream(base: string, ofCredential: boolean, guarded: boolean): Upstream {
  const url = new URL(base)
  if (guarded && url.protocol !== 'https:') throw new Error('egress: providers are reached over https')
  const pool = new Pool(url.origin, {
    connections: null,
    pipelining: 1,
    keepAliveTimeout: keepAliveMs,
    maxHeaderSize: largestHeaders,
    allowH2: false,
    connect: guarded ? guardedConnector() : { timeout: connectTimeoutMs, allowH2: false },
  })
  return { pool, origin: url.origin, basePath: url.pathname.replace(/\/+$/, ''), ofCredential, lastUsedAt: 0 }
}

/** Lets go of hosts that nobody asked for lately, and of the oldest beyond the bound. Calls on them end first. */
function trimOwnHosts(held: Map<string, Upstream>): void {
  const now = performance.now()
  const own = [...held].filter(([, upstream]) => upstream.ofCredential)
  own.sort(([, a], [, b]) => a.lastUsedAt - b.lastUsedAt)
  own.forEach(([base, upstream], index) => {
    if (own.length - index < mostOwnHosts && now - upstream.lastUsedAt < idleMs) return
    held.delete(base)
    void upstream.pool.close()
  })
}

function upstreamOf(base: string, ofCredential: boolean, guarded: boolean): Upstream {
  const held = upstreams()
  let upstream = held.get(base)
  if (!upstream) {
    if (ofCredential) trimOwnHosts(held)
    upstream = openUpstream(base, ofCredential, guarded)
    held.set(base, upstream)
  }
  upstream.lastUsedAt = performance.now()
  return upstream
}

const expand = (template: string, credential: Credential | null): string =>
  template.replace('{endpoint}', credential?.azure?.origin ?? '').replace('{region}', credential?.aws?.region ?? '')

/**
 * Where requests go: the host pinned in the registry (a credential's own for Azure and Bedrock), or the operator's
 * replacement, below which the provider's other hosts are reached as `/hosts/<host>`.
 */
function findUpstream(row: Provider, at: Pick<Place, 'base'>, credential: Credential | null): Upstream {
  const replacement = env().providerBaseUrls[row.id]
  const template = at.base ?? row.baseUrl
  if (replacement === undefined) {
    if (env().sandbox) throw new Error('egress: a sandbox reaches no real provider')
    const ofCredential = template.includes('{')
    return upstreamOf(ofCredential ? expand(template, credential) : template, ofCredential, true)
  }
  if (at.base === null) return upstreamOf(replacement, false, false)
  return upstreamOf(`${replacement.replace(/\/+$/, '')}/hosts/${expand(at.base, credential).slice(8)}`, false, false)
}

export interface EgressRequest {
  method: 'GET' | 'POST'
  /** Null: the provider's base URL. */
  at: Pick<Place, 'base'>
  /** Route below it, with its query. */
  path: string
  /** Names and values in turn, without what proves who is asking where that is a signature. */
  headers: string[]
  body: Buffer | null
  /** Milliseconds until the headers must be there, and between two pieces of the body. */
  headersTimeoutMs: number
  idleTimeoutMs: number
}

/**
 * The one way out to providers. Redirects are not followed (a 307 would carry the key and the prompt to another host),
 * proxies from the environment are not used, certificates are verified, and no encoding is asked for, so the bytes can be
 * read as they pass. Whatever goes wrong, also before anything is sent, is heard by the handler's `onResponseError`.
 */
export function dispatch(
  row: Provider,
  credential: Credential | null,
  request: EgressRequest,
  handler: Dispatcher.DispatchHandler,
): void {
  const fail = (error: unknown) => handler.onResponseError?.(null as never, error as Error)
  let upstream: Upstream
  try {
    upstream = findUpstream(row, request.at, credential)
  } catch (error) {
    fail(error)
    return
  }
  const { pool, origin, basePath } = upstream
  const path = `${basePath}${request.path}`
  const { method, body } = request
  const send = (headers: string[]) =>
    void pool.dispatch(
      { method, path, headers, body, headersTimeout: request.headersTimeoutMs, bodyTimeout: request.idleTimeoutMs },
      handler,
    )
  if (row.auth !== 'sigv4' || credential === null) send(request.headers)
  else
    signAws(credential, { method, url: `${origin}${path}`, body }).then(
      (signature) => send([...request.headers, ...signature]),
      fail,
    )
}

/** Ends all connections to providers. For shutdown and between tests. */
export async function closeEgress(): Promise<void> {
  const held = [...upstreams().values()]
  dropSingleton('egress')
  await Promise.all(held.map(({ pool }) => pool.destroy()))
}
