import { priceNamed, renderPrice } from './catalogue.ts'
import type { PriceRecord, SubscriptionItemRecord, SubscriptionRecord } from './records.ts'
import { renderSchedule } from './schedule-object.ts'
import type { World } from './world.ts'

/** Ends a subscription now: `ended_at` is the moment access stops, `canceled_at` the moment it was asked for (stripe §2.7). */
export function endSubscription(world: World, subscription: SubscriptionRecord): void {
  subscription.status = 'canceled'
  subscription.endedAt = world.seconds()
  subscription.canceledAt ??= subscription.endedAt
  subscription.pendingUpdate = null
  const schedule = world.state.schedules[subscription.schedule ?? '']
  if (schedule?.status === 'active') {
    Object.assign(schedule, { status: 'canceled', canceledAt: subscription.endedAt })
    world.emit('subscription_schedule.canceled', renderSchedule(schedule))
  }
  world.emit('customer.subscription.deleted', renderSubscription(world, subscription))
}

export function renderSubscription(world: World, subscription: SubscriptionRecord): object {
  return {
    ...CONSTANTS,
    id: subscription.id,
    automatic_tax: {
      disabled_reason: null,
      enabled: subscription.automaticTax ?? false,
      liability: subscription.automaticTax ? { type: 'self' } : null,
    },
    billing_cycle_anchor: subscription.anchor ?? subscription.periodStart,
    cancel_at: subscription.cancelAt,
    cancel_at_period_end: subscription.cancelAtPeriodEnd,
    canceled_at: subscription.canceledAt,
    collection_method: subscription.collectionMethod,
    created: subscription.created,
    currency: subscription.currency,
    customer: subscription.customer,
    days_until_due: subscription.daysUntilDue,
    default_payment_method: subscription.defaultPaymentMethod,
    description: subscription.description,
    ended_at: subscription.endedAt,
    items: {
      object: 'list',
      data: subscription.items.map((item) => renderItem(world, subscription, item)),
      has_more: false,
      url: `/v1/subscription_items?subscription=${subscription.id}`,
    },
    latest_invoice: subscription.latestInvoice,
    metadata: subscription.metadata,
    pause_collection: subscription.pauseCollection,
    pending_update: subscription.pendingUpdate && renderPendingUpdate(world, subscription, subscription.pendingUpdate),
    schedule: subscription.schedule ?? null,
    start_date: subscription.created,
    status: subscription.status,
    ...(subscription.pausedAt !== null && { status_details: pausedDetails(subscription.pausedAt) }),
    test_clock: world.state.customers[subscription.customer]?.testClock ?? null,
    trial_end: subscription.trialEnd,
    trial_start: subscription.trialEnd === null ? null : subscription.created,
  }
}

const CONSTANTS = {
  object: 'subscription',
  application: null,
  application_fee_percent: null,
  billing_cycle_anchor_config: null,
  billing_mode: { flexible: null, type: 'flexible' },
  billing_schedules: [],
  billing_thresholds: null,
  cancellation_details: { comment: null, feedback: null, feedback_option: null, reason: null },
  customer_account: null,
  default_source: null,
  default_tax_rates: [],
  discounts: [],
  invoice_settings: {
    account_tax_ids: null,
    custom_fields: null,
    description: null,
    footer: null,
    issuer: { type: 'self' },
  },
  livemode: false,
  managed_payments: null,
  next_pending_invoice_item_invoice: null,
  on_behalf_of: null,
  payment_settings: { payment_method_options: null, payment_method_types: null, save_default_payment_method: 'off' },
  pending_invoice_item_interval: null,
  pending_setup_intent: null,
  transfer_data: null,
  trial_settings: { end_behavior: { billing_cycle_anchor: null, missing_payment_method: 'create_invoice' } },
}

function pausedDetails(at: number): object {
  return { paused: { subscription: { type: 'pause_requested' }, transitioned_at: at, type: 'subscription' } }
}

/** An upgrade that waits for its payment: the items stay the old ones until it applies. */
function renderPendingUpdate(
  world: World,
  subscription: SubscriptionRecord,
  update: { expires_at: number; price: string },
): object {
  const [first] = subscription.items
  return {
    billing_cycle_anchor: null,
    cancel_at_period_end: null,
    discount: null,
    discounts: null,
    expires_at: update.expires_at,
    metadata: null,
    subscription_items: first ? [renderItem(world, subscription, { ...first, price: update.price })] : null,
    trial_end: null,
    trial_from_plan: null,
  }
}

function renderItem(world: World, subscription: SubscriptionRecord, item: SubscriptionItemRecord): object {
  const price = priceNamed(world, item.price)
  return {
    id: item.id,
    object: 'subscription_item',
    billing_thresholds: null,
    created: item.created,
    current_period_end: subscription.periodEnd,
    current_period_start: subscription.periodStart,
    current_trial: null,
    discounts: [],
    metadata: item.metadata,
    plan: renderPlan(price),
    price: renderPrice(price),
    quantity: item.quantity,
    subscription: subscription.id,
    tax_rates: [],
  }
}

/** The old name of a price, still present on every item. */
function renderPlan(price: PriceRecord): object {
  return {
    id: price.id,
    object: 'plan',
    active: price.active,
    amount: price.unitAmount,
    amount_decimal: String(price.unitAmount),
    billing_scheme: 'per_unit',
    created: price.created,
    currency: price.currency,
    interval: price.recurring?.interval ?? 'month',
    interval_count: price.recurring?.interval_count ?? 1,
    livemode: false,
    metadata: price.metadata,
    meter: null,
    nickname: price.nickname,
    product: price.product,
    tiers_mode: null,
    transform_usage: null,
    trial_period_days: null,
    usage_type: 'licensed',
  }
}
