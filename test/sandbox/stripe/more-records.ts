/** What the sandbox remembers of the objects around a payment: Checkout, portal, schedules, charges and what undoes them. */
import type { Base } from './records.ts'

export interface AccountSettings {
  /** Exclusive tax on invoices with automatic tax, in hundredths of a per cent: the rate of the day. */
  taxBasisPoints: number
  /** What becomes of a subscription when the last retry failed. */
  dunningEnd: 'canceled' | 'unpaid' | 'past_due'
  /** How long the search does not see what was written. */
  searchLagSeconds: number
  /** Requests per operation and second, and with it the limits on a subscription's invoices; null: no limit. */
  requestsPerSecond: number | null
}

export interface CheckoutRecord extends Base {
  mode: 'payment' | 'subscription'
  customer: string
  status: 'open' | 'complete' | 'expired'
  paymentStatus: 'paid' | 'unpaid' | 'no_payment_required'
  lineItems: { price: string | null; name: string; amount: number; quantity: number }[]
  currency: string
  automaticTax: boolean
  /** null: not said, which is no. */
  takesPromotionCodes: boolean | null
  /** The address that is typed in at the page becomes the customer's. */
  savesAddress: boolean
  clientReferenceId: string | null
  successUrl: string
  cancelUrl: string | null
  expiresAt: number
  subscription: string | null
  invoice: string | null
  paymentIntent: string | null
  subscriptionMetadata: Record<string, string>
  /** When the bank debit that was chosen settles by itself. */
  settlesAt: number | null
}

export interface PortalRecord extends Base {
  customer: string
  returnUrl: string | null
}

export interface SchedulePhase {
  start: number
  end: number
  items: { price: string; quantity: number }[]
}

export interface ScheduleRecord extends Base {
  customer: string
  subscription: string | null
  releasedSubscription: string | null
  status: 'active' | 'canceled' | 'completed' | 'not_started' | 'released'
  endBehavior: 'release' | 'cancel'
  phases: SchedulePhase[]
  /** Which of the phases runs. */
  current: number
  canceledAt: number | null
  completedAt: number | null
  releasedAt: number | null
}

export interface ChargeRecord extends Base {
  customer: string
  invoice: string | null
  paymentIntent: string
  paymentMethod: string | null
  amount: number
  currency: string
  refunded: number
  disputed: boolean
}

export interface RefundRecord extends Base {
  charge: string
  amount: number
  reason: string | null
}

export interface DisputeRecord extends Base {
  charge: string
  amount: number
  status: 'needs_response' | 'won' | 'lost'
  reason: string
}

export interface CreditNoteRecord extends Base {
  invoice: string
  customer: string
  number: string
  amount: number
  memo: string | null
  reason: string | null
  status: 'issued' | 'void'
  prePayment: number
  refundAmount: number
  creditAmount: number
  outOfBandAmount: number
  refund: string | null
  balanceTransaction: string | null
  lineDescription: string
  voidedAt: number | null
}

export interface BalanceTransactionRecord extends Base {
  customer: string
  amount: number
  currency: string
  description: string | null
  endingBalance: number
  type: 'adjustment' | 'applied_to_invoice' | 'credit_note' | 'invoice_too_small'
  invoice: string | null
  creditNote: string | null
}

export interface TestClockRecord extends Base {
  frozenTime: number
  name: string | null
  status: 'ready' | 'advancing'
  /** Where it is going while it advances. */
  target: number | null
}

export interface EndpointRecord extends Base {
  url: string
  secret: string
  apiVersion: string | null
  enabledEvents: string[]
  description: string | null
  status: 'enabled' | 'disabled'
}
