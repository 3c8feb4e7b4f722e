import type { Dispatcher } from 'undici'
import { closeEgress, dispatch } from './internal/egress.server.ts'
import { type ProviderId, providerOf } from './providers.ts'

/** Hears of an upstream reply as its bytes arrive. */
export type ReplyHandler = Dispatcher.DispatchHandler
export type ReplyController = Dispatcher.DispatchController
export type ReplyHeaders = Record<string, string | string[] | undefined>

/** Patience with a provider, in milliseconds. Reasoning models think for minutes before the first byte of a plain answer. */
export interface Patience {
  headersMs: number
  idleMs: number
}

/**
 * Sends the bytes of a chat request as they are, under `key`, with the call's own id for the provider's logs and for
 * reconciliation. The handler hears everything else.
 */
export function dispatchCall(
  id: ProviderId,
  call: { id: string; body: Buffer; key: string; streamed: boolean; patience: Patience },
  handler: ReplyHandler,
): void {
  const headers = [
    'authorization',
    `Bearer ${call.key}`,
    'content-type',
    'application/json',
    'accept',
    call.streamed ? 'text/event-stream' : 'application/json',
    'accept-encoding',
    'identity',
    'x-request-id',
    call.id,
    'user-agent',
    'Keymargin',
  ]
  const request = {
    method: 'POST' as const,
    path: providerOf(id).routes.chat,
    headers,
    body: call.body,
    headersTimeoutMs: call.patience.headersMs,
    idleTimeoutMs: call.patience.idleMs,
  }
  dispatch(id, request, handler)
}

/** Ends all connections to providers, at shutdown. */
export const hangUp = (): Promise<void> => closeEgress()
