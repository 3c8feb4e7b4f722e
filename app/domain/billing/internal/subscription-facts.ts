import type { SubscriptionFacts } from '../entitlement.ts'
import type { StripeSubscription } from './stripe.server.ts'

const at = (seconds: number | null | undefined): Date | null => (seconds ? new Date(seconds * 1000) : null)

/** What the entitlement rule reads of a subscription. Periods live on the items since basil (stripe §2.9). */
export function subscriptionFacts(subscription: StripeSubscription): SubscriptionFacts {
  const items = subscription.items.data
  const periodEnd = Math.max(0, ...items.map((item) => item.current_period_end))
  return {
    id: subscription.id,
    status: subscription.status,
    productIds: items.map((item) =>
      typeof item.price.product === 'string' ? item.price.product : item.price.product.id,
    ),
    endedAt: at(subscription.ended_at),
    endsAt: at(
      subscription.ended_at ?? subscription.cancel_at ?? (subscription.cancel_at_period_end ? periodEnd : null),
    ),
    pausedAt: at(subscription.status_details?.paused?.transitioned_at),
  }
}
