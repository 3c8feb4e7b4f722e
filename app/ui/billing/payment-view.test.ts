import { describe, expect, test } from 'vitest'
import type { PaymentState } from '#app/domain/billing/payment-queries.server.ts'
import { checkoutWords, type PaymentInput, toPaymentView } from './payment-view.ts'

const state: PaymentState = {
  hasCustomer: true,
  hasSubscription: true,
  subscriptionStatus: 'active',
  currency: 'usd',
  suspendedAt: null,
  method: { kind: 'card', brand: 'visa', last4: '4242', expires: '12/2034', expiry: 'good' },
  dunning: null,
  scheduled: null,
  pendingPlanName: null,
  readAt: '2026-11-21T10:00:00.000Z',
}
const plans = [{ id: 'pro', name: 'Pro', current: true }]
const view = (change: Partial<PaymentState> = {}, input: Partial<PaymentInput> = {}) =>
  toPaymentView({
    root: '/w/acme',
    state: { ...state, ...change },
    plans,
    reversals: [],
    outcome: null,
    canManage: true,
    ...input,
  })
const notes = (change: Partial<PaymentState>) => view(change).notes.map(({ text }) => text)

describe('what the card of plan and payment says', () => {
  test('a method that was never read is not known, which is another thing than none', () => {
    expect(view({ method: null, readAt: null }).method).toContain('not known here yet')
    expect(view({ method: null }).method).toContain('No payment method is saved')
    expect(view({ method: null, readAt: null, hasCustomer: false }).method).toContain('Checkout asks for one')
    expect(view().method).toBe('Visa ending in 4242, valid until 12/2034')
    const debit = { kind: 'sepa_debit', brand: null, last4: '3000', expires: null, expiry: 'none' as const }
    expect(view({ method: debit }).method).toBe('Bank debit ending in 3000')
  })

  test('plans are for sale only without a subscription, and the portal only where there is a customer', () => {
    expect(view()).toMatchObject({ plans: [], portal: true })
    expect(view({ hasSubscription: false })).toMatchObject({ plans: [{ id: 'pro' }], portal: true })
    expect(view({ hasSubscription: false, hasCustomer: false })).toMatchObject({
      plans: [{ id: 'pro' }],
      portal: false,
    })
    expect(view({ suspendedAt: state.readAt, hasSubscription: false })).toMatchObject({ plans: [], portal: false })
    expect(view({ hasSubscription: false }, { canManage: false })).toMatchObject({ plans: [], portal: false })
  })

  test('what failed says how much, since when, how often and when it is tried again, first of all', () => {
    const dunning = {
      since: '2026-11-01T10:00:00.000Z',
      owedCents: '12345',
      attempts: 2,
      nextAttemptAt: '2026-11-24T10:00:00.000Z',
      payUrl: 'https://stripe.test/pay',
    }
    const scheduled = { planName: 'Pro', at: '2026-12-01T00:00:00.000Z' }
    expect(notes({ dunning, scheduled, subscriptionStatus: 'past_due' })).toEqual([
      '$123.45 could not be collected since 1 Nov 2026, 10:00 UTC (2 attempts). It is tried again at 24 Nov 2026, 10:00 UTC; until then plan and keys stay.',
      'The plan changes to Pro at 1 Dec 2026, 00:00 UTC.',
    ])
    expect(notes({ dunning: { ...dunning, owedCents: '1234' }, currency: 'jpy' })[0]).toContain('¥1,234 could not')
    expect(notes({ dunning: { ...dunning, nextAttemptAt: null } })[0]).toContain('It is not tried again by itself.')
  })

  test('Checkout is told by what Stripe holds', () => {
    const top = { kind: 'top_up' as const, amountCents: '2500', planName: null }
    expect(checkoutWords({ ...top, status: 'complete', paymentStatus: 'paid' })).toEqual({
      tone: 'teal',
      text: 'Paid: $25.00 of credits are yours.',
    })
    expect(checkoutWords({ ...top, status: 'complete', paymentStatus: 'unpaid' })?.tone).toBe('yellow')
    expect(checkoutWords({ ...top, status: 'expired', paymentStatus: 'unpaid' })?.text).toContain('Nothing was paid')
    expect(checkoutWords({ ...top, status: 'open', paymentStatus: 'unpaid' })?.text).toContain('left before')
    expect(checkoutWords({ kind: 'unknown' })).toBeNull()
  })
})
