import type { Dispatcher } from 'undici'
import type { Credential } from '../credential.ts'
import type { Place, Provider } from '../provider.ts'
import { dispatch } from './egress.server.ts'
import { keyHeaders } from './key-headers.ts'

export type TextReply =
  | { kind: 'answered'; status: number; text: string }
  | { kind: 'timeout' }
  | { kind: 'unreachable' }

/** Replies to our own questions are small; a longer one is cut off and counts as no answer. In bytes. */
const largest = 256 * 1024

export interface Question {
  at: Place
  /** In place of the place's own path. */
  path?: string
  method?: 'GET' | 'POST'
  /** JSON to send. */
  json?: unknown
  /** For the whole exchange. */
  timeoutMs: number
  /** Bytes; more is no answer. */
  largest?: number
}

function collector(
  most: number,
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
      if (bytes > most) controller.abort(new Error('egress: the reply is too long'))
      else pieces.push(piece)
    },
    onResponseEnd: () => finish({ kind: 'answered', status, text: Buffer.concat(pieces).toString('utf8') }),
    onResponseError: (_controller, error) => finish({ kind: /timeout/i.test(error.name) ? 'timeout' : 'unreachable' }),
  }
}

/** The body of a question and its media type: JSON, or the form in which NVIDIA wants the key itself. */
function bodyOf({ at, json }: Question, credential: Credential | null): { type: string; body: Buffer } | null {
  if (at.auth === 'nvidia-form') {
    const form = new URLSearchParams({ credentials: credential?.apiKey ?? '' })
    return { type: 'application/x-www-form-urlencoded', body: Buffer.from(form.toString()) }
  }
  if (at.base?.startsWith('https://sts.')) {
    const body = Buffer.from('Action=GetCallerIdentity&Version=2011-06-15')
    return { type: 'application/x-www-form-urlencoded', body }
  }
  return json === undefined ? null : { type: 'application/json', body: Buffer.from(JSON.stringify(json)) }
}

/** Asks a provider something, under a credential or under none. Never throws: every failure is an answer. */
export function askProvider(row: Provider, credential: Credential | null, question: Question): Promise<TextReply> {
  const { at, timeoutMs } = question
  return new Promise((resolve) => {
    let controller: Dispatcher.DispatchController | null = null
    let over = false
    const finish = (reply: TextReply) => {
      over = true
      clearTimeout(deadline)
      resolve(reply)
    }
    const deadline = setTimeout(() => {
      finish({ kind: 'timeout' })
      controller?.abort(new Error('egress: the reply took too long'))
    }, timeoutMs)
    const content = bodyOf(question, credential)
    const headers = ['accept', 'application/json', 'accept-encoding', 'identity', 'user-agent', 'Keymargin']
    if (credential) headers.push(...keyHeaders(row, credential, at.auth))
    for (const [name, value] of row.headers) headers.push(name, value)
    if (content) headers.push('content-type', content.type)
    const begin = (started: Dispatcher.DispatchController) => {
      controller = started
      if (over) started.abort(new Error('egress: the reply took too long'))
    }
    const request = {
      method: question.method ?? (content ? ('POST' as const) : ('GET' as const)),
      at,
      path: question.path ?? at.path,
      headers,
      body: content?.body ?? null,
      headersTimeoutMs: timeoutMs,
      idleTimeoutMs: timeoutMs,
    }
    dispatch(row, credential, request, collector(question.largest ?? largest, finish, begin))
  })
}
