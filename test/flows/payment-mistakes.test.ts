/** What a second tab, a lost event or a refund must not cost: no plan bought twice, no payment without its credits. */
import { expect, test } from 'vitest'
import { startPlanCheckout, startTopUp } from '#app/domain/billing/start-checkout.server.ts'
import { sweepStripe } from '#app/domain/billing/sweep-stripe.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'
import { holdDeliveries, letDeliveries, settle, webhookEndpoint, workspaceOf } from './billing-endpoint.ts'
import { billingWorld, type Customer, makeCustomer } from './billing-world.ts'

const world = billingWorld()
webhookEndpoint(world)

const now = () => world.now()
const adminOf = async (workspaceId: string): Promise<Ctx> => ({
  ...(await makeMember(workspaceId, 'billing_admin')),
  now,
})
const sessionOf = (url: string): string => new URL(url).pathname.split('/').at(-1) ?? ''
const pay = (id: string) => world.sandbox.control.payCheckout(id, 'card')
const granted = async ({ workspaceId }: Customer) => {
  const { rows } = await world.db.owner.query(
    'SELECT amount_pico::text AS pico FROM metering.credit_grants WHERE workspace_id = $1',
    [workspaceId],
  )
  return rows.map(({ pico }) => pico)
}
const alertsOf = async (workspaceId: string) =>
  (await inSystem((tx) => tx.alert.findMany({ where: { workspaceId, resolvedAt: null } }))).map(({ kind }) => kind)

test('a plan that is started in two tabs can be paid once: the same session, and of another plan only the last', async () => {
  const { id: workspaceId } = await makeWorkspace({ planId: 'plus' })
  const admin = await adminOf(workspaceId)
  const [first, second] = await Promise.all(
    ['enterprise', 'enterprise'].map((planId) => startPlanCheckout(admin, { planId })),
  )
  expect(second).toBe(first)
  const other = sessionOf(await startPlanCheckout(admin, { planId: 'pro' }))
  expect(() => pay(sessionOf(first ?? ''))).toThrow('over')
  holdDeliveries(world)
  pay(other)
  await expect(startPlanCheckout(admin, { planId: 'enterprise' })).rejects.toMatchObject({ code: 'already_subscribed' })
  letDeliveries(world)
  await settle(world)
  const live = Object.values(world.sandbox.world.state.subscriptions).filter(
    (one) => one.customer === world.sandbox.world.state.checkoutSessions[other]?.customer && !one.endedAt,
  )
  expect(live).toHaveLength(1)
})

const customersOf = (workspaceId: string) =>
  Object.values(world.sandbox.world.state.customers).filter(({ metadata }) => metadata.workspace_id === workspaceId)
const rename = (id: string, name: string) => inSystem((tx) => tx.workspace.update({ where: { id }, data: { name } }))

test('a customer whose making brought no answer is the same one at the next try, under the name of then', async () => {
  const { id: workspaceId } = await makeWorkspace({ planId: 'plus' })
  const admin = await adminOf(workspaceId)
  world.sandbox.faults.add({ operation: 'customers.create', when: 'after', effect: 'socket_close', times: 2 })
  await expect(startPlanCheckout(admin, { planId: 'pro' })).rejects.toMatchObject({ code: 'stripe_unavailable' })
  await rename(workspaceId, 'Renamed since')
  await startPlanCheckout(admin, { planId: 'pro' })
  expect(customersOf(workspaceId)).toMatchObject([{ name: 'Renamed since' }])
})

test.each(['before', 'after'] as const)(
  'a customer whose key is spent on a failure %s it was made is looked for, and made once',
  async (when) => {
    const { id: workspaceId } = await makeWorkspace({ planId: 'plus' })
    const admin = await adminOf(workspaceId)
    const effect = when === 'before' ? 'lock_timeout' : 'server_error'
    world.sandbox.faults.add({ operation: 'customers.create', when, effect })
    const begin = () => startPlanCheckout(admin, { planId: 'pro' }).catch(() => null)
    expect((await begin()) ?? (await begin())).toContain('/_sandbox/')
    expect(customersOf(workspaceId)).toHaveLength(1)
  },
)

test('two subscriptions to plans, made in the Dashboard, are told to an operator until one has ended', async () => {
  const customer = await makeCustomer(world, { plan: 'pro' })
  const second = await world.stripe.subscriptions.create({
    customer: customer.customerId,
    items: [{ price: world.prices.enterprise }],
  })
  await settle(world)
  expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise' })
  expect(await alertsOf(customer.workspaceId)).toContain('several_subscriptions')
  await world.stripe.subscriptions.cancel(second.id)
  await settle(world)
  expect(await alertsOf(customer.workspaceId)).not.toContain('several_subscriptions')
})

test('a top-up whose event was never made is granted by the hourly sweep, once', async () => {
  const customer = await makeCustomer(world, { plan: 'pro' })
  const id = sessionOf(await startTopUp(await adminOf(customer.workspaceId), { amountCents: 2_500 }))
  const { events } = world.sandbox.world.state
  const before = new Set(Object.keys(events))
  world.sandbox.webhooks.knobs = { drop: () => true }
  pay(id)
  await settle(world)
  for (const event of Object.keys(events)) if (!before.has(event)) delete events[event]
  expect(await granted(customer)).toEqual([])
  await sweepStripe(now())
  await sweepStripe(now())
  expect(await granted(customer)).toEqual(['25000000000000'])
})

test('a refunded top-up is told to an operator, who settles it: credits are not taken back by themselves', async () => {
  const customer = await makeCustomer(world, { plan: 'pro' })
  const id = sessionOf(await startTopUp(await adminOf(customer.workspaceId), { amountCents: 2_500 }))
  pay(id)
  await settle(world)
  const { paymentIntent } = world.sandbox.world.state.checkoutSessions[id] ?? {}
  await world.stripe.refunds.create({ payment_intent: paymentIntent ?? '', amount: 2_000 })
  await settle(world)
  const [alert] = await inSystem((tx) =>
    tx.alert.findMany({ where: { workspaceId: customer.workspaceId, kind: 'top_up_refunded' } }),
  )
  expect(alert?.message).toContain('$20.00 of a payment for credits was refunded')
  expect(await granted(customer)).toEqual(['25000000000000'])
})
