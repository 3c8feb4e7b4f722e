/** What people are told of payments and plans: whole sentences, no word of Stripe's own and nothing that a customer typed. */
import { displayMinor } from '#app/domain/pricing/currency.ts'

export interface Words {
  title: string
  message: string
}

/** Minor units of a currency in lower case. */
interface Money {
  amountCents: bigint
  currency: string
}

/** `1 December 2026`, in UTC. */
export const utcDay = (at: Date): string =>
  at.toLocaleDateString('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'long', year: 'numeric' })

export const paymentFailed = ({ amountCents, currency }: Money, nextAttemptAt: Date | null): Words => ({
  title: 'A payment failed',
  message: `${displayMinor(amountCents, currency)} could not be collected. ${
    nextAttemptAt
      ? `It is tried again on ${utcDay(nextAttemptAt)}; until then nothing changes.`
      : 'It is not tried again by itself.'
  } Pay the invoice or change the payment method under Settings → Billing.`,
})

export const planChangeScheduled = (planName: string, at: Date, keysGo: boolean): Words => ({
  title: 'The plan is going to change',
  message: `On ${utcDay(at)} (UTC) this workspace moves to the plan ${planName}.${
    keysGo ? ' The AI inference keys that plan does not allow are destroyed then.' : ''
  } Keep the plan under Settings → Billing if that is not what you want.`,
})

export const subscriptionPaused = (): Words => ({
  title: 'The subscription is paused',
  message:
    'AI inference keys are switched off while the subscription is paused, and destroyed after 30 days of it. Resume it before to keep them.',
})

export const subscriptionUnpaid = (): Words => ({
  title: 'The subscription is unpaid',
  message:
    'The invoice could not be collected and is not tried again. The plan and the AI inference keys are gone; paying the invoice brings the plan back, not the keys.',
})

export const purchaseExpired = (): Words => ({
  title: 'A subscription was not paid in time',
  message:
    'The first invoice of the new subscription was not paid within 23 hours, so it did not begin. Start again under Settings → Billing.',
})

export const upgradeAwaitsPayment = (planName: string): Words => ({
  title: 'The new plan waits for its payment',
  message: `The plan ${planName} begins when its invoice is paid. Until then the old plan stays.`,
})

export const addressMissing = (): Words => ({
  title: 'The billing address is not complete',
  message:
    'The tax on an invoice cannot be computed without the address. Complete it under Settings → Billing → Manage payment; the invoice then goes out by itself.',
})

export const actionRequired = (): Words => ({
  title: 'A payment must be confirmed',
  message:
    'The bank asks for a confirmation before it pays an invoice. Open the invoice under Settings → Billing and confirm it.',
})

export const invoiceOverdue = (): Words => ({
  title: 'An invoice is overdue',
  message: 'An invoice was not paid by its due date. It is listed under Settings → Billing.',
})

export const refunded = ({ amountCents, currency }: Money): Words => ({
  title: 'A payment was refunded',
  message: `${displayMinor(amountCents, currency)} of a payment was given back. What was used, and the invoice’s lines, stay as they are.`,
})

export const credited = ({ amountCents, currency }: Money): Words => ({
  title: 'A credit note was issued',
  message: `A credit note over ${displayMinor(amountCents, currency)} was issued for an invoice. It is listed with the invoice under Settings → Billing.`,
})

export const debitFailed = (): Words => ({
  title: 'A bank debit failed',
  message:
    'The bank did not pay the debit that was chosen at Checkout. No credits were granted and no plan began. Try another payment method.',
})
