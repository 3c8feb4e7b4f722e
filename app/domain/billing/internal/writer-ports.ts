/**
 * What the invoice writer needs of the world: a log that survives it, and Stripe. The writer itself does no input or output
 * of its own, so that the same code runs against PostgreSQL and Stripe, and against a simulator that cuts it off anywhere.
 */
import type Stripe from 'stripe'
import type { InvoiceRun, StripeOperation } from '#app/generated/prisma/client.ts'
import type { Clock } from '#app/platform/clock.ts'
import type { InvoiceLine } from '../billing.ts'
import type { RunStopped } from '../errors.ts'

export type StripeInvoice = Stripe.Invoice
export type StripeLine = Stripe.InvoiceLineItem

/** What the writer reads of a run. */
export type WrittenRun = Pick<
  InvoiceRun,
  | 'workspaceId'
  | 'id'
  | 'month'
  | 'kind'
  | 'revision'
  | 'state'
  | 'currency'
  | 'totalCents'
  | 'linesHash'
  | 'stripeInvoiceId'
> & { callsHash?: string | null }

export interface RunBundle {
  run: WrittenRun
  lines: InvoiceLine[]
  operations: StripeOperation[]
  workspace: { name: string; slug?: string; stripeCustomerId: string | null }
}

/** An answer with what the operations log keeps of it. */
export interface Receipt<T> {
  value: T
  requestId: string | null
  /** Stripe answered from its idempotency store: the object was made by an earlier request. */
  replayed: boolean
}

export interface InvoiceRequest {
  customer: string
  currency: string
  description: string
  footer: string
  metadata: Record<string, string>
}

export interface ItemRequest {
  customer: string
  invoice: string
  amount: number
  currency: string
  description: string
  /** Unix seconds, both inclusive. */
  period: { start: number; end: number }
  metadata: Record<string, string>
}

/** The run's own record of itself. Each method is committed when it resolves. */
export interface RunStore {
  markWriting(run: WrittenRun, now: Date): Promise<void>
  markSent(operation: StripeOperation, attempt: number, idempotencyKey: string, now: Date): Promise<StripeOperation>
  markDone(
    operation: StripeOperation,
    stripeId: string,
    receipt: Pick<Receipt<unknown>, 'requestId' | 'replayed'>,
    now: Date,
  ): Promise<unknown>
  markFailed(operation: StripeOperation, errorCode: string): Promise<unknown>
  recordInvoiceId(run: WrittenRun, stripeInvoiceId: string, now: Date): Promise<void>
  recordItemIds(run: WrittenRun, itemIds: Map<string, string>): Promise<void>
  recordDone(run: WrittenRun, invoice: StripeInvoice, now: Date): Promise<void>
  recordStopped(run: WrittenRun, stopped: RunStopped, now: Date): Promise<void>
  /** Tells operators that Stripe keeps answering a request with a failure of before. */
  tellSpentKey(operation: StripeOperation, code: string, now: Date): Promise<void>
}

/** Stripe, as the writer asks it. Every method throws StripeCallError where it has no answer of use. */
export interface StripeDoor {
  findCustomer(id: string): Promise<{ currency: string | null } | null>
  findInvoice(id: string): Promise<StripeInvoice | null>
  listInvoices(customer: string): Promise<StripeInvoice[]>
  listLines(invoice: string): Promise<StripeLine[]>
  createInvoice(request: InvoiceRequest, idempotencyKey: string): Promise<Receipt<StripeInvoice>>
  createInvoiceItem(request: ItemRequest, idempotencyKey: string): Promise<Receipt<{ id: string }>>
  finalizeInvoice(id: string, idempotencyKey: string): Promise<Receipt<StripeInvoice>>
}

export interface WriterPorts {
  store: RunStore
  stripe: StripeDoor
  /** Where people find the calls behind a line. */
  appOrigin: string
  /** Whether a draft that is ready still waits for an operator; without it none does. */
  waitsForReview?: (run: WrittenRun, now: Date) => Promise<boolean>
  now: Clock
}
