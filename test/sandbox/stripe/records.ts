/** What the sandbox remembers of each object: the fields that can change. Everything constant is added when it is shown. */
import type { Metadata } from './params.ts'

interface Base {
  id: string
  created: number
  /** Total order of creation: seconds tie, this does not. */
  sequence: number
  metadata: Metadata
}

type Address = Partial<Record<'city' | 'country' | 'line1' | 'line2' | 'postal_code' | 'state', string | null>>

export interface CustomerRecord extends Base {
  deleted: boolean
  name: string | null
  email: string | null
  description: string | null
  address: Address | null
  /** Minor units the customer owes from invoices below the minimum charge. */
  balance: number
  currency: string | null
  invoicePrefix: string
  nextInvoiceNumber: number
  defaultPaymentMethod: string | null
}

export interface ProductRecord extends Base {
  deleted: boolean
  name: string
  description: string | null
  active: boolean
  updated: number
}

export interface PriceRecord extends Base {
  product: string
  currency: string
  unitAmount: number
  active: boolean
  nickname: string | null
  lookupKey: string | null
  recurring: { interval: 'day' | 'week' | 'month' | 'year'; interval_count: number } | null
}

export interface PaymentMethodRecord extends Base {
  customer: string | null
  last4: string
  /** false: attaches well, declines every charge. */
  works: boolean
}

type SubscriptionStatus =
  | 'active'
  | 'canceled'
  | 'incomplete'
  | 'incomplete_expired'
  | 'past_due'
  | 'paused'
  | 'trialing'
  | 'unpaid'

export interface SubscriptionItemRecord {
  id: string
  created: number
  price: string
  quantity: number
  metadata: Metadata
}

export interface SubscriptionRecord extends Base {
  customer: string
  status: SubscriptionStatus
  items: SubscriptionItemRecord[]
  currency: string
  cancelAt: number | null
  cancelAtPeriodEnd: boolean
  canceledAt: number | null
  endedAt: number | null
  collectionMethod: 'charge_automatically' | 'send_invoice'
  daysUntilDue: number | null
  defaultPaymentMethod: string | null
  description: string | null
  latestInvoice: string | null
  pauseCollection: { behavior: string; resumes_at: number | null } | null
  pausedAt: number | null
  pendingUpdate: { expires_at: number; price: string } | null
  periodStart: number
  periodEnd: number
  trialEnd: number | null
}

export type InvoiceStatus = 'draft' | 'open' | 'paid' | 'void' | 'uncollectible'

export interface InvoiceRecord extends Base {
  deleted: boolean
  customer: string
  subscription: string | null
  status: InvoiceStatus
  currency: string
  autoAdvance: boolean
  automaticTax: boolean
  taxStatus: 'complete' | 'failed' | 'requires_location_inputs' | null
  billingReason: 'manual' | 'subscription_create'
  collectionMethod: 'charge_automatically' | 'send_invoice'
  daysUntilDue: number | null
  dueDate: number | null
  description: string | null
  footer: string | null
  number: string | null
  amountPaid: number
  startingBalance: number
  endingBalance: number | null
  attempted: boolean
  attemptCount: number
  finalizedAt: number | null
  paidAt: number | null
  voidedAt: number | null
  uncollectibleAt: number | null
  finalizationError: string | null
}

export interface InvoiceItemRecord extends Base {
  customer: string
  /** null: pending, and swept onto the next invoice that asks for pending items. */
  invoice: string | null
  /** The line's own id: `il_…` on the invoice, `ii_…` for updates. */
  lineId: string
  amount: number
  currency: string
  description: string | null
  period: { start: number; end: number }
  subscriptionItem: string | null
}

export interface EventRecord {
  id: string
  created: number
  sequence: number
  type: string
  data: { object: Record<string, unknown>; previous_attributes?: Record<string, unknown> }
  livemode: boolean
  apiVersion: string
  request: { id: string | null; idempotency_key: string | null } | null
  /** Endpoints that have not answered 2xx yet. */
  pendingWebhooks: number
}

export interface StoredAnswer {
  fingerprint: string
  status: number
  body: string
  /** Milliseconds of the sandbox clock. */
  storedAt: number
  requestId: string
}

export interface SandboxState {
  version: 1
  sequence: number
  clockOffsetMs: number
  customers: Record<string, CustomerRecord>
  products: Record<string, ProductRecord>
  prices: Record<string, PriceRecord>
  paymentMethods: Record<string, PaymentMethodRecord>
  subscriptions: Record<string, SubscriptionRecord>
  invoices: Record<string, InvoiceRecord>
  invoiceItems: Record<string, InvoiceItemRecord>
  events: Record<string, EventRecord>
  answers: Record<string, StoredAnswer>
}

export function emptyState(): SandboxState {
  const tables = { customers: {}, products: {}, prices: {}, paymentMethods: {}, subscriptions: {} }
  return {
    version: 1,
    sequence: 0,
    clockOffsetMs: 0,
    ...tables,
    invoices: {},
    invoiceItems: {},
    events: {},
    answers: {},
  }
}
