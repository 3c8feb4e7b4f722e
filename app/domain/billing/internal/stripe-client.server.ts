/**
 * The one door to Stripe. The SDK alone is not to be trusted with money: it resolves on a 404 without an `error`, does not
 * retry a 429, and makes a new idempotency key per call (stripe §1.3). Every call here checks what came back.
 */
import Stripe from 'stripe'
import { env } from '#app/platform/env.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import { slowDown, takeTurn } from './request-pace.server.ts'
import { StripeCallError, type StripeFailure } from './stripe-call-error.ts'
import type { Receipt } from './writer-ports.ts'

/** The version that this code was written against, whatever the SDK's or the account's own is (docs/stripe.md). */
export const API_VERSION = '2026-10-28.endive'

const TIMEOUT_MS = 20_000
const RETRIES_OF_429 = 6
const RETRY_BASE_MS = 250
const RETRY_CAP_MS = 4_000
const PAGE = 100

interface Answer {
  object?: unknown
  lastResponse?: { statusCode: number; requestId: string; headers: Record<string, string> }
}

export function client(): Stripe {
  return singleton('stripe', () => {
    const base = env().stripeApiBase ? new URL(env().stripeApiBase as string) : undefined
    const address = base && {
      host: base.hostname,
      port: base.port || (base.protocol === 'http:' ? '80' : '443'),
      protocol: base.protocol === 'http:' ? ('http' as const) : ('https' as const),
    }
    return new Stripe(env().stripeSecretKey, {
      ...address,
      apiVersion: API_VERSION,
      timeout: TIMEOUT_MS,
      maxNetworkRetries: 1,
      telemetry: false,
    })
  })
}

/**
 * One request in its turn (one queue per operation for all processes), checked, and tried again where waiting helps.
 * @param name resource and verb, as `invoices.create`
 * @param expected the `object` that the answer must be
 * @throws StripeCallError
 */
export async function call<T extends Answer>(
  name: string,
  expected: string,
  send: () => Promise<T>,
): Promise<Receipt<T>> {
  for (let retry = 0; ; retry++) {
    await pause(await takeTurn(name))
    try {
      return checked(name, expected, await send())
    } catch (error) {
      const failed = error instanceof StripeCallError ? error : new StripeCallError(name, failureOf(error))
      if (failed.failure.outcome === 'rate_limited') await slowDown(name)
      if (!worthWaiting(failed) || retry >= RETRIES_OF_429) throw failed
      const ceiling = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** retry)
      await pause(ceiling / 2 + Math.random() * (ceiling / 2))
    }
  }
}

/** 429 and 409 pass by waiting, with the same key; a replayed 429 never will. */
function worthWaiting({ failure }: StripeCallError): boolean {
  return (failure.outcome === 'rate_limited' || failure.outcome === 'key_in_use') && !failure.replayed
}

/** A proxy's 404 without `error` resolves in the SDK: whatever is not the object asked for is no success (case 14). */
function checked<T extends Answer>(name: string, expected: string, value: T): Receipt<T> {
  const response = value.lastResponse
  if (value.object !== expected || (response?.statusCode ?? 200) >= 400) {
    const failure = { param: undefined, replayed: false, requestId: response?.requestId, status: response?.statusCode }
    throw new StripeCallError(name, { ...failure, outcome: 'unknown', code: 'not_an_answer' })
  }
  return {
    value,
    requestId: response?.requestId ?? null,
    replayed: response?.headers['idempotent-replayed'] === 'true',
  }
}

function failureOf(error: unknown): StripeFailure {
  if (!(error instanceof Stripe.errors.StripeError)) {
    return {
      outcome: 'unknown',
      code: 'no_answer',
      param: undefined,
      status: undefined,
      replayed: false,
      requestId: undefined,
    }
  }
  const { statusCode: status, param, requestId } = error
  const replayed = error.headers?.['idempotent-replayed'] === 'true'
  const code = error.code ?? error.type
  return { outcome: outcomeOf(error), code, param, status, replayed, requestId }
}

function outcomeOf(error: Stripe.errors.StripeError): StripeFailure['outcome'] {
  const { statusCode: status } = error
  if (status === undefined || status >= 500 || status < 400) return 'unknown'
  if (status === 429) return 'rate_limited'
  if (status === 409) return 'key_in_use'
  return error instanceof Stripe.errors.StripeIdempotencyError ? 'mismatch' : 'refused'
}

const pause = (ms: number): Promise<void> | undefined =>
  ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : undefined

/** Every page of a list. @throws StripeCallError */
export async function all<T extends { id: string }>(
  name: string,
  fetchPage: (page: { limit: number; starting_after?: string }) => Promise<Stripe.Response<Stripe.ApiList<T>>>,
): Promise<T[]> {
  const items: T[] = []
  for (;;) {
    const last = items.at(-1)
    const { value } = await call(name, 'list', () =>
      fetchPage({ limit: PAGE, ...(last && { starting_after: last.id }) }),
    )
    items.push(...value.data)
    if (!value.has_more || value.data.length === 0) return items
  }
}

/** @returns null where Stripe has no such object */
export async function orMissing<T>(answer: Promise<Receipt<T>>): Promise<T | null> {
  try {
    return (await answer).value
  } catch (error) {
    if (error instanceof StripeCallError && error.failure.code === 'resource_missing') return null
    throw error
  }
}
