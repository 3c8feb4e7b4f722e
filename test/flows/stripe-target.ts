/**
 * Which Stripe the billing flows run against: the sandbox of this repository, or, with `STRIPE_TARGET=test-mode` and
 * `STRIPE_TEST_KEY`, a real Stripe account in test mode (docs/stripe.md). What a test can only do to the sandbox (faults, its
 * clock, its state behind the API) skips it there, with that reason.
 */
import type { TestContext } from 'vitest'
import type { StripeSandbox } from '#test/sandbox/stripe/stripe-sandbox.ts'

export type StripeTarget = { kind: 'sandbox' } | { kind: 'test-mode'; key: string; base: string | undefined }

/** @throws Error for a live key, or test mode without a key: money must not move, and nothing may seem tested that is not */
export function stripeTarget(env: Record<string, string | undefined> = process.env): StripeTarget {
  const wished = env.STRIPE_TARGET ?? 'sandbox'
  if (wished === 'sandbox') return { kind: 'sandbox' }
  if (wished !== 'test-mode') throw new Error('STRIPE_TARGET is sandbox or test-mode.')
  const key = env.STRIPE_TEST_KEY ?? ''
  if (/^[sr]k_live_/.test(key))
    throw new Error('STRIPE_TEST_KEY is a live key: the tests make customers and charge cards.')
  if (!/^sk_test_\w+$/.test(key))
    throw new Error('STRIPE_TARGET=test-mode needs STRIPE_TEST_KEY, which begins with sk_test_.')
  return { kind: 'test-mode', key, base: env.STRIPE_TEST_BASE }
}

/** For a test that needs what the sandbox delivers by itself: an account in test mode cannot reach a test's endpoint. */
export const needsDeliveries = (world: { readonly sandbox: StripeSandbox }): void => void world.sandbox.webhooks

/** Ends the running test as skipped wherever the sandbox is asked for and is not there. */
export class SandboxOrSkip {
  sandbox: StripeSandbox | undefined
  #context: TestContext | undefined

  enter(context: TestContext): void {
    this.#context = context
  }

  get(): StripeSandbox {
    if (this.sandbox) return this.sandbox
    if (!this.#context) throw new Error('The sandbox is not there outside of a test.')
    return this.#context.skip('needs the sandbox: its faults, its clock or its state behind the API')
  }
}
