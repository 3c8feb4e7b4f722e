/** How a customer pays and what is wrong with it: a pure reading of what Stripe holds. */
import type Stripe from 'stripe'

/** What is kept of a payment method: enough to recognise it, nothing to use it. */
export interface PaymentMethod {
  kind: string
  brand: string | null
  last4: string | null
  expMonth: number | null
  expYear: number | null
}

export interface Dunning {
  /** What failed invoices come to, in the smallest unit of their currency. */
  owedCents: bigint
  attempts: number
  nextAttemptAt: Date | null
  /** Where the oldest of them can be paid by hand. */
  payUrl: string | null
}

export const noDunning: Dunning = { owedCents: 0n, attempts: 0, nextAttemptAt: null, payUrl: null }

type Method = Pick<Stripe.PaymentMethod, 'type' | 'card' | 'sepa_debit'>

/** Card and debit in words of our own; of any other kind only what it is. */
export function paymentMethodOf(method: Method | string | null | undefined): PaymentMethod | null {
  if (!method || typeof method === 'string') return null
  const { card, sepa_debit: debit, type: kind } = method
  return {
    kind,
    brand: card?.display_brand ?? card?.brand ?? null,
    last4: card?.last4 ?? debit?.last4 ?? null,
    expMonth: card?.exp_month ?? null,
    expYear: card?.exp_year ?? null,
  }
}

type OpenInvoice = Pick<
  Stripe.Invoice,
  'created' | 'attempt_count' | 'amount_remaining' | 'next_payment_attempt' | 'hosted_invoice_url'
>

/** Invoices that Stripe has tried to collect in vain. */
export function dunningOf(open: OpenInvoice[]): Dunning {
  const failed = open.filter((invoice) => invoice.attempt_count > 0).sort((a, b) => a.created - b.created)
  const next = failed.flatMap((invoice) => invoice.next_payment_attempt ?? [])
  return {
    owedCents: failed.reduce((sum, invoice) => sum + BigInt(invoice.amount_remaining), 0n),
    attempts: Math.max(0, ...failed.map((invoice) => invoice.attempt_count)),
    nextAttemptAt: next.length ? new Date(Math.min(...next) * 1000) : null,
    payUrl: failed[0]?.hosted_invoice_url ?? null,
  }
}

/** `expiring`: this month or the next. Months end in UTC. */
export type Expiry = 'none' | 'good' | 'expiring' | 'expired'

export function expiryOf({ expMonth, expYear }: Pick<PaymentMethod, 'expMonth' | 'expYear'>, now: Date): Expiry {
  if (expMonth === null || expYear === null) return 'none'
  const months = (expYear - now.getUTCFullYear()) * 12 + (expMonth - 1 - now.getUTCMonth())
  if (months < 0) return 'expired'
  return months <= 1 ? 'expiring' : 'good'
}
