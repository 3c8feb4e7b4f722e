import type { ScheduleRecord } from './more-records.ts'

export function renderSchedule(schedule: ScheduleRecord): object {
  const current = schedule.phases[schedule.current]
  return {
    id: schedule.id,
    object: 'subscription_schedule',
    application: null,
    billing_mode: { flexible: null, type: 'flexible' },
    canceled_at: schedule.canceledAt,
    completed_at: schedule.completedAt,
    created: schedule.created,
    current_phase:
      schedule.status === 'active' && current ? { start_date: current.start, end_date: current.end } : null,
    customer: schedule.customer,
    customer_account: null,
    default_settings: {
      application_fee_percent: null,
      billing_cycle_anchor: 'automatic',
      billing_thresholds: null,
      collection_method: 'charge_automatically',
      default_payment_method: null,
      description: null,
      invoice_settings: {
        account_tax_ids: null,
        custom_fields: null,
        days_until_due: null,
        description: null,
        footer: null,
        issuer: { type: 'self' },
      },
      on_behalf_of: null,
      transfer_data: null,
    },
    end_behavior: schedule.endBehavior,
    livemode: false,
    metadata: schedule.metadata,
    pause_schedules: [],
    phases: schedule.phases.map(renderPhase),
    released_at: schedule.releasedAt,
    released_subscription: schedule.releasedSubscription,
    status: schedule.status,
    subscription: schedule.subscription,
    test_clock: null,
  }
}

const renderPhase = (phase: ScheduleRecord['phases'][number]): object => ({
  add_invoice_items: [],
  application_fee_percent: null,
  billing_cycle_anchor: null,
  billing_thresholds: null,
  collection_method: null,
  currency: 'usd',
  default_payment_method: null,
  description: null,
  discounts: [],
  end_date: phase.end,
  invoice_settings: null,
  items: phase.items.map((item) => ({
    billing_thresholds: null,
    discounts: [],
    metadata: {},
    plan: item.price,
    price: item.price,
    quantity: item.quantity,
  })),
  metadata: {},
  on_behalf_of: null,
  proration_behavior: 'none',
  start_date: phase.start,
  transfer_data: null,
  trial_end: null,
})
