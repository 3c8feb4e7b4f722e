import { stripeUnavailable } from '../checkout-errors.ts'
import { StripeCallError } from './stripe-call-error.ts'

/** Asks Stripe for somebody who waits at a page. @throws AppError upstream `stripe_unavailable` in words for that person */
export async function asUpstream<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof StripeCallError) throw stripeUnavailable(error)
    throw error
  }
}
