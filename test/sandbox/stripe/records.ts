/** What the sandbox remembers of each object: the fields that can change. Everything constant is added when it is shown. */

import type {
  AccountSettings,
  BalanceTransactionRecord,
  ChargeRecord,
  CheckoutRecord,
  CreditNoteRecord,
  DisputeRecord,
  EndpointRecord,
  PortalRecord,
  RefundRecord,
  ScheduleRecord,
  TestClockRecord,
} from './more-records.ts'
import type { Metadata } from './params.ts'

export interface Base {
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
  /** The test clock that its time follows; null: the account's own time. */
  testClock?: string | null
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
  type?: 'card' | 'sepa_debit'
  last4: string
  expMonth?: number
  expYear?: number
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
  /** Waits until this invoice is paid. */
  pendingUpdate: { expires_at: number; price: string; invoice?: string } | null
  schedule?: string | null
  /** The instant whose day of the month every period follows. */
  anchor?: number
  automaticTax?: boolean
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
  /** The rate of the day it was finalised. */
  taxBasisPoints?: number | null
  billingReason: 'manual' | 'subscription_create' | 'subscription_cycle' | 'subscription_update'
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
  autoFinalizesAt?: number | null
  nextPaymentAttempt?: number | null
  amountOverpaid?: number
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
  taxBehavior?: 'exclusive' | 'inclusive' | 'unspecified'
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
  /** A delivery was refused or lost, and none has come through since. */
  failed?: boolean
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
  settings: AccountSettings
  customers: Record<string, CustomerRecord>
  products: Record<string, ProductRecord>
  prices: Record<string, PriceRecord>
  paymentMethods: Record<string, PaymentMethodRecord>
  subscriptions: Record<string, SubscriptionRecord>
  schedules: Record<string, ScheduleRecord>
  invoices: Record<string, InvoiceRecord>
  invoiceItems: Record<string, InvoiceItemRecord>
  checkoutSessions: Record<string, CheckoutRecord>
  portalSessions: Record<string, PortalRecord>
  charges: Record<string, ChargeRecord>
  refunds: Record<string, RefundRecord>
  disputes: Record<string, DisputeRecord>
  creditNotes: Record<string, CreditNoteRecord>
  balanceTransactions: Record<string, BalanceTransactionRecord>
  testClocks: Record<string, TestClockRecord>
  webhookEndpoints: Record<string, EndpointRecord>
  events: Record<string, EventRecord>
  answers: Record<string, StoredAnswer>
}

export function emptyState(): SandboxState {
  return {
    version: 1,
    sequence: 0,
    clockOffsetMs: 0,
    settings: { taxBasisPoints: 0, dunningEnd: 'canceled', searchLagSeconds: 60, requestsPerSecond: null },
    customers: {},
    products: {},
    prices: {},
    paymentMethods: {},
    subscriptions: {},
    schedules: {},
    invoices: {},
    invoiceItems: {},
    checkoutSessions: {},
    portalSessions: {},
    charges: {},
    refunds: {},
    disputes: {},
    creditNotes: {},
    balanceTransactions: {},
    testClocks: {},
    webhookEndpoints: {},
    events: {},
    answers: {},
  }
}
