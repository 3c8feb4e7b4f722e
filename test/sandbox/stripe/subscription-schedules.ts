/** Schedules: a plan change at the period's end, as the portal's downgrade makes one, and as the Dashboard does. */
import { z } from 'zod'
import { priceNamed } from './catalogue.ts'
import { invalid, missing } from './errors.ts'
import type { SchedulePhase, ScheduleRecord } from './more-records.ts'
import { operation } from './operation.ts'
import { createdWithin, newestFirst, pageOf } from './pagination.ts'
import { boolean, createdFilter, expand, integer, mergeMetadata, metadata, page, text } from './params.ts'
import type { SubscriptionRecord } from './records.ts'
import { renderSchedule } from './schedule-object.ts'
import { endSubscription } from './subscription-object.ts'
import { changeSubscription } from './subscription-payments.ts'
import { subscriptionNamed } from './subscriptions.ts'
import type { World } from './world.ts'

const phase = z.strictObject({
  items: z.array(z.strictObject({ price: text, quantity: integer.optional() })).min(1),
  start_date: z.union([z.literal('now'), integer]).optional(),
  end_date: integer.optional(),
  proration_behavior: z.enum(['always_invoice', 'create_prorations', 'none']).optional(),
})
const createParams = z.strictObject({
  from_subscription: text,
  metadata: metadata.optional(),
  expand: expand.optional(),
})
const updateParams = z.strictObject({
  phases: z.array(phase).optional(),
  end_behavior: z.enum(['release', 'cancel']).optional(),
  metadata: metadata.optional(),
  proration_behavior: phase.shape.proration_behavior,
  expand: expand.optional(),
})
const only = z.strictObject({ expand: expand.optional() })

function scheduleNamed(world: World, id: string): ScheduleRecord {
  const schedule = world.state.schedules[id]
  if (!schedule) throw missing('subscription_schedule', id)
  return schedule
}

function requireActive(schedule: ScheduleRecord): void {
  if (schedule.status !== 'active')
    throw invalid(`You can only change a schedule that is active. This one is ${schedule.status}.`)
}

export function scheduleOf(world: World, subscription: SubscriptionRecord): ScheduleRecord {
  if (subscription.schedule && world.state.schedules[subscription.schedule]?.status === 'active')
    throw invalid('The subscription is already attached to a schedule.')
  const now = {
    start: subscription.periodStart,
    end: subscription.periodEnd,
    items: subscription.items.map(({ price, quantity }) => ({ price, quantity })),
  }
  const schedule: ScheduleRecord = {
    ...world.base('sub_sched'),
    metadata: {},
    customer: subscription.customer,
    subscription: subscription.id,
    releasedSubscription: null,
    status: 'active',
    endBehavior: 'release',
    phases: [now],
    current: 0,
    canceledAt: null,
    completedAt: null,
    releasedAt: null,
  }
  world.state.schedules[schedule.id] = schedule
  world.emit('subscription_schedule.created', renderSchedule(schedule))
  changeSubscription(world, subscription, { schedule: schedule.id })
  return schedule
}

type PhaseInput = z.infer<typeof phase>

/** Phases follow each other without a gap; the last one without an end lasts one period. */
function phasesOf(world: World, schedule: ScheduleRecord, inputs: PhaseInput[]): SchedulePhase[] {
  const phases: SchedulePhase[] = []
  for (const [index, input] of inputs.entries()) {
    const known = schedule.phases[index]
    const start = phases.at(-1)?.end ?? known?.start ?? world.seconds()
    const length = (known?.end ?? start + 30 * 86_400) - (known?.start ?? start)
    const end = input.end_date ?? start + length
    if (end <= start) throw invalid('The end date of a phase must be after its start.', 'parameter_invalid', 'phases')
    const items = input.items.map((item) => ({ price: priceNamed(world, item.price).id, quantity: item.quantity ?? 1 }))
    phases.push({ start, end, items })
  }
  return phases
}

/** The portal's downgrade: today's plan until the period ends, the other from then on. */
export function scheduleDowngrade(world: World, subscription: SubscriptionRecord, price: string): ScheduleRecord {
  const schedule = world.state.schedules[subscription.schedule ?? ''] ?? scheduleOf(world, subscription)
  const end = subscription.periodEnd
  const next = { start: end, end: end + 30 * 86_400, items: [{ price: priceNamed(world, price).id, quantity: 1 }] }
  const running = schedule.phases[schedule.current]
  schedule.phases = [...schedule.phases.slice(0, schedule.current), ...(running ? [{ ...running, end }] : []), next]
  world.emit('subscription_schedule.updated', renderSchedule(schedule))
  return schedule
}

export function releaseSchedule(world: World, schedule: ScheduleRecord): void {
  requireActive(schedule)
  const subscription = world.state.subscriptions[schedule.subscription ?? '']
  const released = { releasedSubscription: schedule.subscription, subscription: null, releasedAt: world.seconds() }
  Object.assign(schedule, released, { status: 'released' })
  world.emit('subscription_schedule.released', renderSchedule(schedule))
  if (subscription) changeSubscription(world, subscription, { schedule: null })
}

function complete(world: World, schedule: ScheduleRecord, subscription: SubscriptionRecord): void {
  Object.assign(schedule, { status: 'completed', completedAt: world.seconds() })
  world.emit('subscription_schedule.completed', renderSchedule(schedule))
  endSubscription(world, subscription)
}

/** The next phase begins, or after the last one the schedule ends as it says. */
export function advanceSchedule(world: World, schedule: ScheduleRecord): void {
  const subscription = world.state.subscriptions[schedule.subscription ?? '']
  if (!subscription) return
  const next = schedule.phases[schedule.current + 1]
  if (!next) {
    if (schedule.endBehavior === 'release') releaseSchedule(world, schedule)
    else complete(world, schedule, subscription)
    return
  }
  schedule.current += 1
  const items = subscription.items.map((item, index) => ({ ...item, ...next.items[index] }))
  changeSubscription(world, subscription, { items })
  world.emit('subscription_schedule.updated', renderSchedule(schedule))
}

function update(world: World, params: z.infer<typeof updateParams>, id: string): object {
  const schedule = scheduleNamed(world, id)
  requireActive(schedule)
  if (params.phases) schedule.phases = phasesOf(world, schedule, params.phases)
  if (params.end_behavior) schedule.endBehavior = params.end_behavior
  schedule.metadata = mergeMetadata(schedule.metadata, params.metadata)
  world.emit('subscription_schedule.updated', renderSchedule(schedule))
  return renderSchedule(schedule)
}

const cancelParams = z.strictObject({
  invoice_now: boolean.optional(),
  prorate: boolean.optional(),
  expand: expand.optional(),
})
const listParams = z.strictObject({ ...page, ...createdFilter, customer: text.optional() })

export const scheduleOperations = [
  operation('subscriptionSchedules.create', 'POST /v1/subscription_schedules', createParams, (world, params) => {
    const schedule = scheduleOf(world, subscriptionNamed(world, params.from_subscription))
    schedule.metadata = mergeMetadata({}, params.metadata)
    return renderSchedule(schedule)
  }),
  operation('subscriptionSchedules.update', 'POST /v1/subscription_schedules/{id}', updateParams, update),
  operation(
    'subscriptionSchedules.release',
    'POST /v1/subscription_schedules/{id}/release',
    z.strictObject({ preserve_cancel_date: boolean.optional(), expand: expand.optional() }),
    (world, _params, id) => {
      const schedule = scheduleNamed(world, id)
      releaseSchedule(world, schedule)
      return renderSchedule(schedule)
    },
  ),
  operation(
    'subscriptionSchedules.cancel',
    'POST /v1/subscription_schedules/{id}/cancel',
    cancelParams,
    (world, _params, id) => {
      const schedule = scheduleNamed(world, id)
      requireActive(schedule)
      const subscription = world.state.subscriptions[schedule.subscription ?? '']
      if (subscription) endSubscription(world, subscription)
      return renderSchedule(schedule)
    },
  ),
  operation('subscriptionSchedules.retrieve', 'GET /v1/subscription_schedules/{id}', only, (world, _params, id) =>
    renderSchedule(scheduleNamed(world, id)),
  ),
  operation('subscriptionSchedules.list', 'GET /v1/subscription_schedules', listParams, (world, params) => {
    const all = newestFirst(world.state.schedules).filter(
      (schedule) =>
        (!params.customer || schedule.customer === params.customer) && createdWithin(schedule.created, params.created),
    )
    const list = pageOf(all, params, '/v1/subscription_schedules')
    return { ...list, data: list.data.map(renderSchedule) }
  }),
]
