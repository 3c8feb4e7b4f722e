import type { Dispatcher } from 'undici'
import type { Credential } from './credential.ts'
import { closeEgress, dispatch } from './internal/egress.server.ts'
import { keyHeaders } from './internal/key-headers.ts'
import type { Endpoint, ProviderId } from './provider.ts'
import { providerOf } from './registry.ts'

/** Hears of an upstream reply as its bytes arrive. */
export type ReplyHandler = Dispatcher.DispatchHandler
export type ReplyController = Dispatcher.DispatchController
export type ReplyHeaders = Record<string, string | string[] | undefined>

/** Patience with a provider, in milliseconds. Reasoning models think for minutes before the first byte of a plain answer. */
export interface Patience {
  headersMs: number
  idleMs: number
}

export interface DispatchedCall {
  /** The call's own id, for the provider's logs and for reconciliation. */
  id: string
  endpoint: Endpoint
  /** The model's id at the provider. */
  model: string
  /** In the provider's own format. */
  body: Buffer
  credential: Credential
  streamed: boolean
  patience: Patience
}

const atBase = { base: null }

/** What a reply must be: where a translated stream is no event stream, its own type. */
const acceptOf = (dialect: string, streamed: boolean): string => {
  if (!streamed) return 'application/json'
  return dialect === 'bedrock-converse' ? 'application/vnd.amazon.eventstream' : 'text/event-stream'
}

/**
 * Sends the bytes of a request under a credential. The handler hears everything else, also that it could not be sent.
 * @throws Error where the provider has no such endpoint: a bug, since routing asks before
 */
export function dispatchCall(id: ProviderId, call: DispatchedCall, handler: ReplyHandler): void {
  const row = providerOf(id)
  const { endpoint, model, body, credential, streamed, patience } = call
  const route = row.routes[endpoint]
  if (!route) throw new Error(`${id} has no route for ${endpoint}`)
  const headers = [
    ...keyHeaders(row, credential),
    'content-type',
    'application/json',
    'accept',
    acceptOf(route.dialect, streamed),
    'accept-encoding',
    'identity',
    'x-request-id',
    call.id,
    'user-agent',
    'Keymargin',
  ]
  for (const [name, value] of row.headers) headers.push(name, value)
  const request = {
    method: 'POST' as const,
    at: atBase,
    path: route.path({ model, credential, streamed }),
    headers,
    body,
    headersTimeoutMs: patience.headersMs,
    idleTimeoutMs: patience.idleMs,
  }
  dispatch(row, credential, request, handler)
}

/** Ends all connections to providers, at shutdown. */
export const hangUp = (): Promise<void> => closeEgress()
