import { describe, expect, test } from 'vitest'
import { isSubscriptionActive, judgeCredits, monthlyGrantPico } from './credits.ts'

describe('the notice of low credits', () => {
  const at = (low: boolean, availablePico: bigint) => judgeCredits({ low, thresholdPico: 100n, availablePico })
  test.each([
    [false, 100n, 'leave'],
    [false, 99n, 'raise'],
    [true, 99n, 'leave'],
    [true, 100n, 'leave'],
    [true, 124n, 'leave'],
    [true, 125n, 'resolve'],
  ] as const)('told: %s, %s of 100 → %s', (low, available, verdict) => {
    expect(at(low, available)).toBe(verdict)
  })
  test('is never raised where nobody wants it', () => {
    expect(judgeCredits({ low: false, thresholdPico: 0n, availablePico: 0n })).toBe('leave')
    expect(judgeCredits({ low: true, thresholdPico: 0n, availablePico: 0n })).toBe('resolve')
  })
})

test('a month brings as much as its dearest plan, however often plans change', () => {
  const month = [10n, 40n, 10n, 120n, 40n]
  let granted = 0n
  for (const plan of month) granted += monthlyGrantPico(plan, granted)
  expect(granted).toBe(120n)
})

test('credits come with subscriptions that are good, and where nobody subscribes at all', () => {
  for (const status of [null, 'active', 'trialing', 'past_due']) expect(isSubscriptionActive(status)).toBe(true)
  for (const status of ['unpaid', 'canceled', 'paused', 'incomplete', 'incomplete_expired'])
    expect(isSubscriptionActive(status)).toBe(false)
})
