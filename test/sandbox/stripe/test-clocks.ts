/** Test clocks: customers whose time stands still until it is advanced. */
import { z } from 'zod'
import { invalid, missing } from './errors.ts'
import type { TestClockRecord } from './more-records.ts'
import { operation } from './operation.ts'
import { newestFirst, pageOf } from './pagination.ts'
import { expand, integer, page, text } from './params.ts'
import { passTime } from './passing-time.ts'
import { endSubscription } from './subscription-object.ts'
import type { World } from './world.ts'

function clockNamed(world: World, id: string): TestClockRecord {
  const clock = world.state.testClocks[id]
  if (!clock) throw missing('test_clock', id)
  return clock
}

function renderClock(clock: TestClockRecord): object {
  const advancing = { advancing: { target_frozen_time: clock.target ?? clock.frozenTime } }
  return {
    id: clock.id,
    object: 'test_helpers.test_clock',
    created: clock.created,
    deletes_after: clock.created + 30 * 86_400,
    frozen_time: clock.frozenTime,
    livemode: false,
    name: clock.name,
    status: clock.status,
    status_details: clock.status === 'advancing' ? advancing : {},
  }
}

/** Stripe advances by at most two periods of the shortest subscription at once. */
function requireReachable(world: World, clock: TestClockRecord, target: number): void {
  if (clock.status !== 'ready') throw invalid('The test clock is still advancing.', 'test_clock_advancing')
  if (target <= clock.frozenTime) throw invalid('A test clock can only be advanced into its future.')
  for (const subscription of Object.values(world.state.subscriptions)) {
    if (subscription.endedAt || world.state.customers[subscription.customer]?.testClock !== clock.id) continue
    const length = subscription.periodEnd - subscription.periodStart
    if (target - clock.frozenTime > 2 * length + 86_400)
      throw invalid('A test clock advances by at most two periods of its shortest subscription.')
  }
}

/** What happens after the answer that said `advancing`. */
function arrive(world: World, id: string): void {
  const clock = world.state.testClocks[id]
  if (!clock || clock.target === null) return
  const { target } = clock
  passTime(world, clock.id, target)
  Object.assign(clock, { frozenTime: target, target: null, status: 'ready' })
  world.emit('test_helpers.test_clock.ready', renderClock(clock))
}

const createParams = z.strictObject({ frozen_time: integer, name: text.optional(), expand: expand.optional() })
const advanceParams = z.strictObject({ frozen_time: integer, expand: expand.optional() })
const only = z.strictObject({ expand: expand.optional() })

export const testClockOperations = [
  operation('testClocks.create', 'POST /v1/test_helpers/test_clocks', createParams, (world, params) => {
    const clock: TestClockRecord = {
      ...world.base('clock'),
      metadata: {},
      frozenTime: params.frozen_time,
      name: params.name ?? null,
      status: 'ready',
      target: null,
    }
    world.state.testClocks[clock.id] = clock
    world.emit('test_helpers.test_clock.created', renderClock(clock))
    return renderClock(clock)
  }),
  operation(
    'testClocks.advance',
    'POST /v1/test_helpers/test_clocks/{id}/advance',
    advanceParams,
    (world, params, id) => {
      const clock = clockNamed(world, id)
      requireReachable(world, clock, params.frozen_time)
      Object.assign(clock, { status: 'advancing', target: params.frozen_time })
      world.emit('test_helpers.test_clock.advancing', renderClock(clock))
      return renderClock(clock)
    },
    arrive,
  ),
  operation('testClocks.retrieve', 'GET /v1/test_helpers/test_clocks/{id}', only, (world, _params, id) =>
    renderClock(clockNamed(world, id)),
  ),
  operation('testClocks.list', 'GET /v1/test_helpers/test_clocks', z.strictObject(page), (world, params) => {
    const list = pageOf(newestFirst(world.state.testClocks), params, '/v1/test_helpers/test_clocks')
    return { ...list, data: list.data.map(renderClock) }
  }),
  operation('testClocks.del', 'DELETE /v1/test_helpers/test_clocks/{id}', z.strictObject({}), (world, _params, id) => {
    const clock = clockNamed(world, id)
    for (const subscription of Object.values(world.state.subscriptions)) {
      const customer = world.state.customers[subscription.customer]
      if (customer?.testClock === id && !subscription.endedAt) endSubscription(world, subscription)
    }
    for (const customer of Object.values(world.state.customers)) if (customer.testClock === id) customer.deleted = true
    delete world.state.testClocks[clock.id]
    return { id, object: 'test_helpers.test_clock', deleted: true }
  }),
]
