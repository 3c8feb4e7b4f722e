import type { Dispatcher } from 'undici'
import type { ProviderId } from '../providers.ts'
import { dispatch } from './egress.server.ts'

export type TextReply =
  | { kind: 'answered'; status: number; text: string }
  | { kind: 'timeout' }
  | { kind: 'unreachable' }

/** Replies to our own questions are small; a longer one is cut off and counts as no answer. In bytes. */
const largest = 256 * 1024

function collector(
  finish: (reply: TextReply) => void,
  begin: (controller: Dispatcher.DispatchController) => void,
): Dispatcher.DispatchHandler {
  let status = 0
  let bytes = 0
  const pieces: Buffer[] = []
  return {
    onRequestStart: begin,
    onResponseStart: (_controller, statusCode) => {
      status = statusCode
    },
    onResponseData: (controller, piece) => {
      bytes += piece.length
      if (bytes > largest) controller.abort(new Error('egress: the reply is too long'))
      else pieces.push(piece)
    },
    onResponseEnd: () => finish({ kind: 'answered', status, text: Buffer.concat(pieces).toString('utf8') }),
    onResponseError: (_controller, error) => finish({ kind: /timeout/i.test(error.name) ? 'timeout' : 'unreachable' }),
  }
}

/** Asks a provider something with a key. Never throws: every failure is an answer. `timeoutMs` is for the whole exchange. */
export function getText(id: ProviderId, path: string, key: string, timeoutMs: number): Promise<TextReply> {
  return new Promise((resolve) => {
    let controller: Dispatcher.DispatchController | null = null
    const finish = (reply: TextReply) => {
      clearTimeout(deadline)
      resolve(reply)
    }
    const deadline = setTimeout(() => {
      finish({ kind: 'timeout' })
      controller?.abort(new Error('egress: the reply took too long'))
    }, timeoutMs)
    const headers = ['authorization', `Bearer ${key}`, 'accept', 'application/json', 'accept-encoding', 'identity']
    const request = {
      method: 'GET' as const,
      path,
      headers,
      body: null,
      headersTimeoutMs: timeoutMs,
      idleTimeoutMs: timeoutMs,
    }
    const begin = (started: Dispatcher.DispatchController) => {
      controller = started
    }
    try {
      dispatch(id, request, collector(finish, begin))
    } catch {
      finish({ kind: 'unreachable' })
    }
  })
}
