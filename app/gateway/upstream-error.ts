import { type EgressFailure, failureOf } from '#app/domain/providers/egress-failure.ts'
import { asksForMoney } from '#app/domain/providers/payment-refusal.ts'
import { parseLossless } from '#app/domain/providers/usage.ts'
import { scrubSecrets } from '#app/platform/secret-patterns.ts'
import type { Call } from './call.ts'
import { GatewayError } from './gateway-error.ts'

const longestMessage = 300
const longestWaitSeconds = 86_400

/** Every way a key can stand in a text: as it is, URL-encoded, in base64 with or without its padding. */
function formsOf(key: string): string[] {
  const base64 = Buffer.from(key).toString('base64')
  return [key, encodeURIComponent(key), base64, base64.replace(/=+$/, ''), Buffer.from(key).toString('base64url')]
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
const controls = /[\u0000-\u001f\u007f-\u009f]+/g

/** A provider's text as a customer may see it: the key taken out first, then cut, so that no half of it is left. */
function cleanUpstreamText(text: string, secrets: readonly string[]): string {
  let clean = text
  for (const form of secrets.flatMap(formsOf)) clean = clean.replaceAll(form, '[secret]')
  clean = scrubSecrets(clean).replace(controls, ' ').trim()
  return clean.length > longestMessage ? `${clean.slice(0, longestMessage)}…` : clean
}

const textOf = (value: unknown): string | null => (typeof value === 'string' && value.trim() !== '' ? value : null)

/**
 * The words of an error body, in any of the shapes that providers use: OpenAI's `{error: {message}}`, a bare
 * `{error: "…"}` or `{message: "…"}`, FastAPI's `{detail: "…"}` or `{detail: [{msg}]}`, and a list of any of these.
 */
function messageIn(body: string): string | null {
  const parsed = parseLossless(body)
  const reply = (Array.isArray(parsed) ? parsed[0] : parsed) as Record<string, unknown> | null | undefined
  if (typeof reply !== 'object' || reply === null) return null
  const { error, detail } = reply
  const first = Array.isArray(detail) ? (detail[0] as { msg?: unknown } | undefined)?.msg : detail
  const nested = typeof error === 'object' && error !== null ? (error as { message?: unknown }).message : error
  return textOf(nested) ?? textOf(reply.message) ?? textOf(first)
}

/** `Retry-After` in seconds: whole seconds or a date, within a day; anything else is dropped. */
function readRetryAfter(header: string | string[] | undefined, now: Date): number | null {
  const text = typeof header === 'string' ? header.trim() : ''
  if (/^\d{1,6}$/.test(text)) return Number(text) <= longestWaitSeconds ? Number(text) : null
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} /.test(text)) return null
  const seconds = Math.ceil((Date.parse(text) - now.getTime()) / 1000)
  return Number.isFinite(seconds) && seconds >= 0 && seconds <= longestWaitSeconds ? seconds : null
}

const passedOn = new Set([400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504])

const codes: Record<number, string> = {
  401: 'provider_key_rejected',
  402: 'provider_payment_required',
  403: 'provider_permission_denied',
  404: 'provider_model_not_found',
  408: 'upstream_timeout',
  413: 'provider_payload_too_large',
  429: 'provider_rate_limited',
}

export interface Refusal {
  status: number
  body: string
  retryAfter: string | string[] | undefined
  now: Date
}

/** A refusal of the platform's own key, or of a call on it: the vendor's trouble, and no words. Null: it is neither. */
function platformRefusal(
  { dispatch, provider: { name } }: Call,
  status: number,
  isUnpaid: boolean,
): GatewayError | null {
  if (dispatch.keySource !== 'platform') return null
  const type = 'upstream_error'
  if (status === 401 || isUnpaid)
    return new GatewayError(
      502,
      'platform_key_rejected',
      `${name} does not serve this call at the moment. The operator has been told.`,
      { type },
    )
  if (status !== 403) return null
  return new GatewayError(502, 'provider_permission_denied', `${name} refused this call.`, { type })
}

/**
 * What the caller sees of a provider's refusal. On the workspace's own key the provider's status and words pass through,
 * cleaned; on the platform's key what it says of that key does not. The code says that there is no credit left, under
 * whichever status.
 */
export function refusalError(call: Call, refusal: Refusal): GatewayError {
  const { name } = call.provider
  const { status } = refusal
  const isUnpaid = asksForMoney(status, refusal.body)
  const platform = platformRefusal(call, status, isUnpaid)
  if (platform) return platform
  const shown = passedOn.has(status) ? status : status >= 400 && status < 500 ? 400 : 502
  const message = messageIn(refusal.body)
  const words =
    message === null ? `answered with status ${status}.` : cleanUpstreamText(message, call.credential.secrets)
  return new GatewayError(
    shown,
    codes[isUnpaid ? 402 : status] ?? (status < 500 ? 'provider_refused' : 'upstream_error'),
    `${name}: ${words}`,
    {
      type: shown >= 500 ? 'upstream_error' : undefined,
      retryAfterSeconds:
        status === 429 || status === 503 || status === 402 ? readRetryAfter(refusal.retryAfter, refusal.now) : null,
    },
  )
}

/** A reply that is no reply: 502. */
export const invalidReply = ({ provider }: Call, what: string): GatewayError =>
  new GatewayError(502, 'upstream_invalid', `${provider.name} ${what}.`, { type: 'upstream_error' })

/** Words and code for each way in which nothing, or not all, came back. */
const noReplies: Record<EgressFailure | 'unsent', { status: number; code: string; words: string }> = {
  headers_timeout: { status: 504, code: 'upstream_timeout', words: 'did not answer in time.' },
  idle_timeout: { status: 504, code: 'upstream_timeout', words: 'fell silent in the middle of its answer.' },
  connect_timeout: { status: 504, code: 'upstream_timeout', words: 'could not be reached in time.' },
  unknown_host: { status: 502, code: 'upstream_unreachable', words: 'cannot be found: its host name has no address.' },
  address_refused: {
    status: 502,
    code: 'upstream_address_refused',
    words: 'resolves to an address that is not public. Nothing was sent.',
  },
  certificate: {
    status: 502,
    code: 'upstream_certificate',
    words: 'could not prove who it is: its certificate does not hold. Nothing was sent.',
  },
  headers_too_large: { status: 502, code: 'upstream_interrupted', words: 'answered with headers that are too large.' },
  connection_lost: {
    status: 502,
    code: 'upstream_interrupted',
    words: 'closed the connection before the answer was complete.',
  },
  unsent: { status: 502, code: 'upstream_unreachable', words: 'cannot be reached.' },
}

/** Nothing, or not all, came back. `unsent`: the request never went out. */
export function noReply({ provider }: Call, error: unknown, unsent: boolean): GatewayError {
  const failure = failureOf(error)
  const { status, code, words } = noReplies[unsent && failure === 'connection_lost' ? 'unsent' : failure]
  return new GatewayError(status, code, `${provider.name} ${words}`, { type: 'upstream_error' })
}

/** An error object inside a reply with status 200, as the caller sees it. */
export function errorInReply({ provider, credential }: Call, refusal: Refusal): GatewayError {
  const words = messageIn(refusal.body)
  const said = words === null ? 'answered with an error.' : cleanUpstreamText(words, credential.secrets)
  return new GatewayError(502, 'upstream_error', `${provider.name}: ${said}`, {
    type: 'upstream_error',
  })
}
