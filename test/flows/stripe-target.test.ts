import { expect, test } from 'vitest'
import { SandboxOrSkip, stripeTarget } from './stripe-target.ts'

test('the sandbox is the target unless test mode is asked for by name and with a test key', () => {
  expect(stripeTarget({})).toEqual({ kind: 'sandbox' })
  expect(stripeTarget({ STRIPE_TEST_KEY: 'sk_test_abc' })).toEqual({ kind: 'sandbox' })
  const asked = { STRIPE_TARGET: 'test-mode', STRIPE_TEST_KEY: 'sk_test_abc' }
  expect(stripeTarget(asked)).toEqual({ kind: 'test-mode', key: 'sk_test_abc', base: undefined })
})

test.each([
  ['a live key', { STRIPE_TARGET: 'test-mode', STRIPE_TEST_KEY: 'sk_live_abc' }, 'live key'],
  ['a restricted live key', { STRIPE_TARGET: 'test-mode', STRIPE_TEST_KEY: 'rk_live_abc' }, 'live key'],
  ['no key', { STRIPE_TARGET: 'test-mode' }, 'needs STRIPE_TEST_KEY'],
  ['another target', { STRIPE_TARGET: 'live' }, 'sandbox or test-mode'],
])('%s is refused before anything is asked', (_what, env, words) => expect(() => stripeTarget(env)).toThrow(words))

test('whoever asks for the sandbox where there is none skips, with the reason', () => {
  const reasons: string[] = []
  const place = new SandboxOrSkip()
  const skip = (reason: string) => {
    reasons.push(reason)
    throw new Error('skipped')
  }
  expect(() => place.get()).toThrow('outside of a test')
  place.enter({ skip } as never)
  expect(() => place.get()).toThrow('skipped')
  expect(reasons).toEqual(['needs the sandbox: its faults, its clock or its state behind the API'])
})
