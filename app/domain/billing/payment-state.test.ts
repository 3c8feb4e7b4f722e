import { expect, test } from 'vitest'
import { dunningOf, expiryOf, paymentMethodOf } from './payment-state.ts'

const invoice = (created: number, attempts: number, remaining: number, next: number | null) => ({
  created,
  attempt_count: attempts,
  amount_remaining: remaining,
  next_payment_attempt: next,
  hosted_invoice_url: `https://stripe.test/${created}`,
})

test('only invoices that were tried in vain are owed, the oldest is the one to pay, the next attempt is the earliest', () => {
  expect(dunningOf([invoice(30, 0, 5_000, 90), invoice(20, 1, 200, 80), invoice(10, 3, 100, null)])).toEqual({
    owedCents: 300n,
    attempts: 3,
    nextAttemptAt: new Date(80_000),
    payUrl: 'https://stripe.test/10',
  })
  expect(dunningOf([])).toEqual({ owedCents: 0n, attempts: 0, nextAttemptAt: null, payUrl: null })
})

test.each([
  [10, 2026, 'expired'],
  [11, 2026, 'expiring'],
  [12, 2026, 'expiring'],
  [1, 2027, 'good'],
  [12, 2034, 'good'],
] as const)('a card of %i/%i is %s in November 2026', (expMonth, expYear, expiry) =>
  expect(expiryOf({ expMonth, expYear }, new Date('2026-11-30T23:59:59Z'))).toBe(expiry),
)

test('a kind of payment that has no expiry, and one that is not shown in full, say only what they are', () => {
  expect(expiryOf({ expMonth: null, expYear: null }, new Date())).toBe('none')
  expect(paymentMethodOf({ type: 'link' } as never)).toEqual({
    kind: 'link',
    brand: null,
    last4: null,
    expMonth: null,
    expYear: null,
  })
  expect(paymentMethodOf('pm_1')).toBeNull()
})
