import type Stripe from 'stripe'
import type { SubscriptionFacts } from '../entitlement.ts'
import type { StripeSchedule, StripeSubscription } from './stripe-customers.server.ts'

const at = (seconds: number | null | undefined): Date | null => (seconds ? new Date(seconds * 1000) : null)

type Price = string | Stripe.Price | Stripe.DeletedPrice

const productOf = (price: Price): string[] => {
  if (typeof price === 'string' || !('product' in price)) return []
  return [typeof price.product === 'string' ? price.product : price.product.id]
}

/**
 * What the entitlement rule reads of a subscription. Periods live on the items since basil (stripe §2.9).
 * @param schedule its schedule with expanded prices, where it has one
 * @param pausedSince when we first saw it paused, for pauses that Stripe gives no time of
 */
export function subscriptionFacts(
  subscription: StripeSubscription,
  schedule: StripeSchedule | null,
  pausedSince: Date | null,
): SubscriptionFacts {
  const items = subscription.items.data
  const periodEnd = Math.max(0, ...items.map((item) => item.current_period_end))
  const pending = subscription.pending_update?.subscription_items ?? []
  return {
    id: subscription.id,
    status: subscription.status,
    productIds: items.flatMap((item) => productOf(item.price)),
    endedAt: at(subscription.ended_at),
    endsAt: at(
      subscription.ended_at ?? subscription.cancel_at ?? (subscription.cancel_at_period_end ? periodEnd : null),
    ),
    pausedAt: at(subscription.status_details?.paused?.transitioned_at) ?? pausedSince,
    next: schedule?.status === 'active' ? nextPhase(schedule) : null,
    pendingProductIds: pending.flatMap((item) => productOf(item.price)),
  }
}

function nextPhase(schedule: StripeSchedule): SubscriptionFacts['next'] {
  const running = schedule.current_phase
  if (!running) return null
  const phase = schedule.phases.find((one) => one.start_date >= running.end_date)
  if (phase)
    return { at: new Date(phase.start_date * 1000), productIds: phase.items.flatMap((item) => productOf(item.price)) }
  // After its last phase a schedule lets the subscription go on, or ends it.
  return schedule.end_behavior === 'cancel' ? { at: new Date(running.end_date * 1000), productIds: [] } : null
}
