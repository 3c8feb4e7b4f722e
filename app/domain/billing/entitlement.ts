/** Which plan a customer's subscriptions entitle to, now (stripe §2.7): a pure reading of what Stripe holds. */
import type { PlanRules, ProductMeaning } from '#app/domain/plans/plans.ts'

export interface SubscriptionFacts {
  id: string
  status: string
  productIds: string[]
  /** When access stopped. Not `canceled_at`: that is when the cancel was asked for. */
  endedAt: Date | null
  /** When it is going to stop, where that is already known. */
  endsAt: Date | null
  pausedAt: Date | null
  /** What a schedule's next phase makes of it, and when; null: nothing is scheduled. */
  next: { at: Date; productIds: string[] } | null
  /** The products of an upgrade that awaits its payment; it entitles to nothing yet. */
  pendingProductIds: string[]
}

export type Entitlement =
  | { kind: 'plan'; plan: PlanRules; subscription: SubscriptionFacts }
  /** Keys are disabled at once and destroyed after 30 days (design). */
  | { kind: 'paused'; plan: PlanRules; subscription: SubscriptionFacts; purge: boolean }
  | { kind: 'none'; subscription: SubscriptionFacts | null }
  /** Nothing but a product nobody said the meaning of: the last plan stays, an operator is told. */
  | { kind: 'unknown_product'; productId: string; subscription: SubscriptionFacts }

type Meaning = (productId: string) => ProductMeaning
const planOf = (meaning: ProductMeaning): PlanRules | null => (meaning === 'add_on' ? null : meaning)

/**
 * `past_due` still entitles, until Stripe's retries end in `unpaid` or `canceled`. A cancellation set for later, a paused
 * collection and an upgrade awaiting its payment change nothing today: status and items are what they are.
 */
const GOOD = new Set(['active', 'trialing', 'past_due'])
const PURGE_PAUSED_AFTER_MS = 30 * 24 * 60 * 60 * 1000

/** @param meaningOf what a product stands for; an add-on entitles to nothing, and keeps nothing */
export function entitlementOf(subscriptions: SubscriptionFacts[], meaningOf: Meaning, now: Date): Entitlement {
  const good = subscriptions.filter((subscription) => GOOD.has(subscription.status))
  const best = bestOf(good, meaningOf)
  if (best) return { kind: 'plan', ...best }
  // A plan that is paused is known to be paused, whatever is paid beside it: only where no plan is known does the last one stay.
  const paused = bestOf(
    subscriptions.filter((subscription) => subscription.status === 'paused'),
    meaningOf,
  )
  if (paused) {
    const since = paused.subscription.pausedAt ?? now
    return { kind: 'paused', ...paused, purge: now.getTime() - since.getTime() >= PURGE_PAUSED_AFTER_MS }
  }
  for (const subscription of good) {
    const productId = subscription.productIds.find((id) => meaningOf(id) === null)
    if (productId) return { kind: 'unknown_product', productId, subscription }
  }
  // An add-on that goes on is not what ended: its status would say that the workspace pays for a plan.
  return { kind: 'none', subscription: lastEnded(subscriptions.filter((one) => isMoreThanAddOns(one, meaningOf))) }
}

/** Ids of the good subscriptions that hold a plan's product; of add-ons there may be as many as the vendor sells. */
export const goodPlanSubscriptions = (subscriptions: SubscriptionFacts[], meaningOf: Meaning): string[] =>
  subscriptions
    .filter(({ status, productIds }) => GOOD.has(status) && productIds.some((id) => planOf(meaningOf(id))))
    .map(({ id }) => id)

/** Products that are paid for now and that nobody said the meaning of, also beside a plan: each may be a plan of its own. */
export const unknownProducts = (subscriptions: SubscriptionFacts[], meaningOf: Meaning): string[] => {
  const paid = subscriptions.filter(({ status }) => GOOD.has(status)).flatMap(({ productIds }) => productIds)
  return [...new Set(paid)].filter((id) => meaningOf(id) === null)
}

const isMoreThanAddOns = ({ productIds }: SubscriptionFacts, meaningOf: Meaning): boolean =>
  productIds.length === 0 || productIds.some((id) => meaningOf(id) !== 'add_on')

/** Whether there is, or ever was, a subscription to anything but add-ons. */
export const everSubscribed = (subscriptions: SubscriptionFacts[], meaningOf: Meaning): boolean =>
  subscriptions.some((one) => isMoreThanAddOns(one, meaningOf))

/** The highest plan among all items of these subscriptions: any good one keeps what it entitles to. */
function bestOf(subscriptions: SubscriptionFacts[], meaningOf: Meaning) {
  const candidates = subscriptions.flatMap((subscription) =>
    subscription.productIds.flatMap((productId) => {
      const plan = planOf(meaningOf(productId))
      return plan ? [{ plan, subscription }] : []
    }),
  )
  return candidates.sort((a, b) => b.plan.rank - a.plan.rank)[0]
}

function lastEnded(subscriptions: SubscriptionFacts[]): SubscriptionFacts | null {
  const time = (subscription: SubscriptionFacts) => subscription.endedAt?.getTime() ?? Number.POSITIVE_INFINITY
  return [...subscriptions].sort((a, b) => time(b) - time(a))[0] ?? null
}

export interface ScheduledChange {
  planId: string
  at: Date
}

/**
 * The first change of plan that Stripe has planned already: a schedule's phase, or a subscription that is going to end. What is
 * planned changes nothing before its time (stripe §2.7, §4 case 44).
 * @param lowestPlanId what is left when nothing entitles to a plan any more
 */
export function scheduledChange(
  subscriptions: SubscriptionFacts[],
  meaningOf: Meaning,
  lowestPlanId: string,
  now: Date,
): ScheduledChange | null {
  const planAt = (at: Date): string | null => {
    const then = entitlementOf(
      subscriptions.map((one) => factsAt(one, at)),
      meaningOf,
      at,
    )
    if (then.kind === 'unknown_product') return null
    return then.kind === 'none' ? lowestPlanId : then.plan.id
  }
  const today = planAt(now)
  const moments = subscriptions.flatMap(({ next, endsAt }) => [next?.at, endsAt].filter((at) => at && at > now))
  for (const at of (moments as Date[]).sort((a, b) => a.getTime() - b.getTime())) {
    const planId = planAt(at)
    if (planId !== null && planId !== today) return { planId, at }
  }
  return null
}

/** What a subscription is going to be at an instant, if nobody changes anything. */
function factsAt(subscription: SubscriptionFacts, at: Date): SubscriptionFacts {
  const { next, endsAt } = subscription
  if (endsAt && endsAt <= at) return { ...subscription, status: 'canceled', endedAt: subscription.endedAt ?? endsAt }
  return next && next.at <= at ? { ...subscription, productIds: next.productIds } : subscription
}
