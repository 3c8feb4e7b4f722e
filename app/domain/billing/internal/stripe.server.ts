/**
 * The one door to Stripe. The SDK alone is not to be trusted with money: it resolves on a 404 without an `error`, does not
 * retry a 429, and makes a new idempotency key per call (stripe §1.3). Every call here checks what came back.
 */
import Stripe from 'stripe'
import { env } from '#app/platform/env.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import { RequestPace } from './request-pace.ts'
import { StripeCallError, type StripeFailure } from './stripe-call-error.ts'
import type { InvoiceRequest, ItemRequest, Receipt, StripeInvoice, StripeLine } from './writer-ports.ts'

const TIMEOUT_MS = 20_000
const RETRIES_OF_429 = 6
const RETRY_BASE_MS = 250
const RETRY_CAP_MS = 4_000
const PAGE = 100

export type StripeSubscription = Stripe.Subscription

interface Answer {
  object?: unknown
  lastResponse?: { statusCode: number; requestId: string; headers: Record<string, string> }
}

function client(): Stripe {
  return singleton('stripe', () => {
    const base = env().stripeApiBase ? new URL(env().stripeApiBase as string) : undefined
    const address = base && {
      host: base.hostname,
      port: base.port || (base.protocol === 'http:' ? '80' : '443'),
      protocol: base.protocol === 'http:' ? ('http' as const) : ('https' as const),
    }
    return new Stripe(env().stripeSecretKey, {
      ...address,
      timeout: TIMEOUT_MS,
      maxNetworkRetries: 1,
      telemetry: false,
    })
  })
}

const paces = (): Map<string, RequestPace> => singleton('stripe-paces', () => new Map<string, RequestPace>())

/** @throws StripeCallError */
async function call<T extends Answer>(name: string, expected: string, send: () => Promise<T>): Promise<Receipt<T>> {
  const pace = paces().get(name) ?? new RequestPace(Date.now())
  paces().set(name, pace)
  for (let retry = 0; ; retry++) {
    await pause(pace.take(Date.now()))
    try {
      const value = await send()
      const receipt = checked(name, expected, value)
      pace.succeeded()
      return receipt
    } catch (error) {
      const failed = error instanceof StripeCallError ? error : new StripeCallError(name, failureOf(error))
      if (failed.failure.outcome === 'rate_limited') pace.limited()
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

/** @returns null where the customer is unknown or deleted. @throws StripeCallError */
export async function findCustomer(id: string): Promise<{ currency: string | null } | null> {
  const found = await orMissing(call('customers.retrieve', 'customer', () => client().customers.retrieve(id)))
  return found === null || found.deleted ? null : { currency: found.currency ?? null }
}

/** @returns null where it is unknown or deleted. @throws StripeCallError */
export async function findInvoice(id: string): Promise<StripeInvoice | null> {
  return orMissing(call('invoices.retrieve', 'invoice', () => client().invoices.retrieve(id)))
}

/** A draft that Stripe does not touch on its own, and that sweeps up no pending items (stripe §2.2). @throws StripeCallError */
export function createInvoice(request: InvoiceRequest, idempotencyKey: string): Promise<Receipt<StripeInvoice>> {
  const fixed = {
    collection_method: 'charge_automatically',
    auto_advance: false,
    pending_invoice_items_behavior: 'exclude',
    automatic_tax: { enabled: false },
  } as const
  return call('invoices.create', 'invoice', () =>
    client().invoices.create({ ...request, ...fixed }, { idempotencyKey }),
  )
}

/** Always with its invoice: an item without one is swept onto whatever invoice comes next. @throws StripeCallError */
export function createInvoiceItem(request: ItemRequest, idempotencyKey: string): Promise<Receipt<Stripe.InvoiceItem>> {
  return call('invoiceItems.create', 'invoiceitem', () => client().invoiceItems.create(request, { idempotencyKey }))
}

/** Gives the invoice its number and lets Stripe collect. @throws StripeCallError */
export function finalizeInvoice(id: string, idempotencyKey: string): Promise<Receipt<StripeInvoice>> {
  return call('invoices.finalizeInvoice', 'invoice', () =>
    client().invoices.finalizeInvoice(id, { auto_advance: true }, { idempotencyKey }),
  )
}

/** Every line, however many: Stripe shows ten unless it is asked on. @throws StripeCallError */
export function listLines(invoice: string): Promise<StripeLine[]> {
  return all('invoices.listLineItems', (page) => client().invoices.listLineItems(invoice, page))
}

/** Newest first. The search call is not used: it lags by a minute and more behind what was written (stripe §2.3). */
export function listInvoices(customer: string): Promise<StripeInvoice[]> {
  return all('invoices.list', (page) => client().invoices.list({ customer, ...page }))
}

/** All of them, ended ones too. @throws StripeCallError */
export function listSubscriptions(customer: string): Promise<StripeSubscription[]> {
  return all('subscriptions.list', (page) => client().subscriptions.list({ customer, status: 'all', ...page }))
}

async function all<T extends { id: string }>(
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

async function orMissing<T>(answer: Promise<Receipt<T>>): Promise<T | null> {
  try {
    return (await answer).value
  } catch (error) {
    if (error instanceof StripeCallError && error.failure.code === 'resource_missing') return null
    throw error
  }
}

/** @returns the event, or null where no secret fits or the signature is older than 300 s. */
export function verifyEvent(rawBody: Buffer, signature: string, now: Date): Stripe.Event | null {
  for (const secret of env().stripeWebhookSecrets) {
    try {
      return Stripe.webhooks.constructEvent(rawBody, signature, secret, 300, undefined, now.getTime())
    } catch (error) {
      if (!(error instanceof Stripe.errors.StripeSignatureVerificationError)) return null
    }
  }
  return null
}
