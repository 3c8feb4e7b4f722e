import { afterEach, describe, expect, test } from 'vitest'
import { openBillingPortal } from '#app/domain/billing/start-checkout.server.ts'
import { sweepStripe } from '#app/domain/billing/sweep-stripe.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { makeMember } from '#test/factories.ts'
import {
  customerWithKey,
  KEY,
  keysOf,
  moveTo,
  settle,
  subscriptionItem,
  webhookEndpoint,
  workspaceOf,
} from './billing-endpoint.ts'
import {
  billingWorld,
  type Customer,
  expectOneInvoice,
  freezeOctober,
  makeCustomer,
  OCTOBER_USAGE,
  recordUsage,
  runRow,
  write,
} from './billing-world.ts'

const world = billingWorld()
webhookEndpoint(world)
const DAY_MS = 86_400_000
const now = () => world.now()
const days = async (count: number) => {
  world.sandbox.control.advanceClock(count * DAY_MS)
  await settle(world)
}
afterEach(() => void (world.sandbox.world.state.settings.dunningEnd = 'canceled'))

const noticesOf = async (customer: Customer): Promise<string[]> => {
  const open = { workspaceId: customer.workspaceId, dismissedAt: null }
  const rows = await inSystem((tx) => tx.notice.findMany({ where: open, select: { kind: true, title: true } }))
  return rows.map(({ kind }) => kind).filter((kind) => kind !== 'key_saved')
}
const portalOf = async (customer: Customer): Promise<string> => {
  const admin = await makeMember(customer.workspaceId, 'billing_admin')
  return new URL(await openBillingPortal(admin)).pathname.split('/').at(-1) ?? ''
}

describe('what is planned', () => {
  test('case 44: a downgrade scheduled for the period’s end changes nothing today, and purges when the phase begins', async () => {
    const { customer } = await customerWithKey(world)
    const session = await portalOf(customer)
    world.sandbox.control.actAtPortal(session, { act: 'change', price: world.prices.pro, when: 'period_end' })
    await settle(world)
    const ends = world.sandbox.world.state.subscriptions[customer.subscriptionId]?.periodEnd ?? 0
    expect(await workspaceOf(customer)).toMatchObject({
      planId: 'enterprise',
      scheduledPlanId: 'pro',
      scheduledChangeAt: new Date(ends * 1000),
    })
    expect(await keysOf(customer)).toEqual([{ enabled: true }])
    expect(await noticesOf(customer)).toEqual(['plan_change_scheduled'])
    await days(27)
    expect(await keysOf(customer)).toHaveLength(1)
    await days(5)
    expect(await workspaceOf(customer)).toMatchObject({
      planId: 'pro',
      scheduledPlanId: null,
      scheduledChangeAt: null,
    })
    expect(await keysOf(customer)).toEqual([])
    expect(await noticesOf(customer)).toEqual(['keys_destroyed'])
  })

  test('case 45: cancel at period end set and unset again never touches the key; both are shown and taken back', async () => {
    const { customer } = await customerWithKey(world)
    const session = await portalOf(customer)
    world.sandbox.control.actAtPortal(session, { act: 'cancel' })
    await settle(world)
    const cancelled = await workspaceOf(customer)
    expect(cancelled).toMatchObject({ planId: 'enterprise', scheduledPlanId: 'plus' })
    expect(cancelled.scheduledChangeAt).toEqual(cancelled.subscriptionEndsAt)
    expect(await keysOf(customer)).toEqual([{ enabled: true }])
    world.sandbox.control.actAtPortal(session, { act: 'keep' })
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({
      planId: 'enterprise',
      subscriptionEndsAt: null,
      scheduledPlanId: null,
      scheduledChangeAt: null,
    })
    await days(32)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'active' })
    expect(await keysOf(customer)).toEqual([{ enabled: true }])
  })

  test('a schedule that is released or cancelled takes its plan back; one made in the Dashboard counts the same', async () => {
    const { customer } = await customerWithKey(world)
    const schedule = await world.stripe.subscriptionSchedules.create({ from_subscription: customer.subscriptionId })
    const [today] = schedule.phases
    const phases = [
      { items: [{ price: world.prices.enterprise }], start_date: today?.start_date, end_date: today?.end_date },
      { items: [{ price: world.prices.pro }] },
    ]
    await world.stripe.subscriptionSchedules.update(schedule.id, { phases })
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ scheduledPlanId: 'pro' })
    await world.stripe.subscriptionSchedules.release(schedule.id)
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', scheduledPlanId: null })
    expect(await keysOf(customer)).toHaveLength(1)
  })
})

describe('leaving now', () => {
  test('case 43: Enterprise to Pro in the middle of the period: the key is gone with the plan; margin before, tier price after, two lines of one invoice', async () => {
    const { customer } = await customerWithKey(world)
    const own = { at: '2026-10-10T00:00:00.000Z', tierPrice: '20', raw: '8' }
    await recordUsage(customer.workspaceId, [own])
    await moveTo(world, customer, 'pro')
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro' })
    expect(await keysOf(customer)).toEqual([])
    const [change] = await inSystem((tx) =>
      tx.auditEvent.findMany({ where: { workspaceId: customer.workspaceId, action: 'workspace.plan_changed' } }),
    )
    const [purge] = await inSystem((tx) => tx.keyPurge.findMany({ where: { workspaceId: customer.workspaceId } }))
    expect(purge?.purgedAt).toEqual(change?.at)
    const platform = { at: '2026-10-20T00:00:00.000Z', tierPrice: '5', keySource: 'platform' as const }
    await recordUsage(customer.workspaceId, [platform])
    const runId = await freezeOctober(customer)
    expect(await write(customer, runId)).toBe('done')
    const { lines } = await runRow(customer, runId)
    expect(lines.map((line) => [line.chargeMode, line.amountCents]).toSorted()).toEqual([
      ['tier', 500n],
      ['tier_margin', 1_200n],
    ])
    await expectOneInvoice(world, customer, runId)
  })
})

describe('payments that do not come', () => {
  test.each([
    ['canceled', 'canceled'],
    ['unpaid', 'unpaid'],
  ] as const)(
    'case 46: past due keeps plan and key through Stripe’s retries; %s at their end destroys it',
    async (end, status) => {
      world.sandbox.world.state.settings.dunningEnd = end
      const { customer } = await customerWithKey(world)
      world.sandbox.control.actAtPortal(await portalOf(customer), { act: 'card', card: 'declines' })
      await days(32)
      for (let week = 0; week < 2; week++) {
        expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'past_due' })
        expect(await keysOf(customer)).toEqual([{ enabled: true }])
        expect(await noticesOf(customer)).toContain('payment_failed')
        await days(7)
      }
      await days(5)
      expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus', subscriptionStatus: status })
      expect(await keysOf(customer)).toEqual([])
      if (end !== 'unpaid') return
      expect(await noticesOf(customer)).toContain('subscription_unpaid')
      const { latestInvoice } = world.sandbox.world.state.subscriptions[customer.subscriptionId] ?? {}
      await world.stripe.invoices.pay(latestInvoice ?? '', { paid_out_of_band: true })
      await settle(world)
      expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'active' })
      expect(await keysOf(customer)).toEqual([])
      expect(await noticesOf(customer)).not.toContain('subscription_unpaid')
    },
  )

  test('case 47: an upgrade whose payment is pending is not Enterprise: a key is refused; paid it is, unpaid it expires', async () => {
    const upgrade = async () => {
      const customer = await makeCustomer(world, { plan: 'pro', card: 'none' })
      await world.stripe.subscriptions.update(customer.subscriptionId, {
        items: [{ id: await subscriptionItem(world, customer), price: world.prices.enterprise }],
        payment_behavior: 'pending_if_incomplete',
        proration_behavior: 'always_invoice',
      })
      await settle(world)
      return customer
    }
    const paid = await upgrade()
    const left = await upgrade()
    expect(await workspaceOf(paid)).toMatchObject({ planId: 'pro' })
    const admin = await makeMember(paid.workspaceId, 'owner')
    const save = saveProviderKey(admin, { provider: 'openrouter', credential: KEY })
    await expect(save).rejects.toMatchObject({ kind: 'forbidden', code: 'plan_required' })
    expect(await noticesOf(paid)).toContain('upgrade_pending')
    const { latestInvoice } = world.sandbox.world.state.subscriptions[paid.subscriptionId] ?? {}
    await world.stripe.invoices.pay(latestInvoice ?? '', { paid_out_of_band: true })
    await settle(world)
    expect(await workspaceOf(paid)).toMatchObject({ planId: 'enterprise' })
    expect(await noticesOf(paid)).not.toContain('upgrade_pending')
    await days(1)
    expect(await workspaceOf(left)).toMatchObject({ planId: 'pro' })
    expect(await noticesOf(left)).not.toContain('upgrade_pending')
  })

  test('a first invoice that nobody pays in 23 hours never was Enterprise', async () => {
    const customer = await makeCustomer(world, { plan: 'pro' })
    await world.stripe.subscriptions.cancel(customer.subscriptionId)
    world.sandbox.world.state.customers[customer.customerId]!.defaultPaymentMethod = null
    const items = [{ price: world.prices.enterprise }]
    await world.stripe.subscriptions.create({ customer: customer.customerId, items })
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus', subscriptionStatus: 'incomplete' })
    await days(1)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus', subscriptionStatus: 'incomplete_expired' })
    expect(await noticesOf(customer)).toContain('purchase_expired')
  })

  test('collection that is paused changes neither plan nor keys', async () => {
    const { customer } = await customerWithKey(world)
    await world.stripe.subscriptions.update(customer.subscriptionId, { pause_collection: { behavior: 'void' } })
    await days(33)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'active' })
    expect(await keysOf(customer)).toEqual([{ enabled: true }])
  })
})

describe('pauses', () => {
  test('a paused subscription disables the key at once; after 30 days the sweep destroys it without any event', async () => {
    const { customer } = await customerWithKey(world)
    await world.stripe.subscriptions.pause(customer.subscriptionId, { type: 'subscription' })
    await settle(world)
    expect(await keysOf(customer)).toEqual([{ enabled: false }])
    expect(await noticesOf(customer)).toEqual(['subscription_paused'])
    world.sandbox.control.advanceClock(29 * DAY_MS)
    await sweepStripe(now())
    expect(await keysOf(customer)).toEqual([{ enabled: false }])
    world.sandbox.control.advanceClock(DAY_MS + 60_000)
    await sweepStripe(now())
    expect(await keysOf(customer)).toEqual([])
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'paused' })
    await settle(world)
  })

  test('one of which Stripe tells no time counts from when it was first seen', async () => {
    const { customer } = await customerWithKey(world)
    world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'paused', pausedAt: null })
    await settle(world)
    world.sandbox.control.advanceClock(31 * DAY_MS)
    await sweepStripe(now())
    expect(await keysOf(customer)).toEqual([])
    await settle(world)
  })

  test('resumed in time the key works again', async () => {
    const { customer } = await customerWithKey(world)
    await world.stripe.subscriptions.pause(customer.subscriptionId, { type: 'subscription' })
    await days(10)
    await world.stripe.subscriptions.resume(customer.subscriptionId)
    await settle(world)
    expect(await keysOf(customer)).toEqual([{ enabled: true }])
    expect(await noticesOf(customer)).toEqual([])
  })
})

describe('a customer who is gone', () => {
  test('case 24: deleted in Stripe: unfinished runs uncollectable, keys purged, workspace suspended; never made anew', async () => {
    const { customer } = await customerWithKey(world)
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const runId = await freezeOctober(customer)
    const customers = Object.keys(world.sandbox.world.state.customers).length
    await world.stripe.customers.del(customer.customerId)
    await settle(world)
    expect(await runRow(customer, runId)).toMatchObject({ state: 'uncollectable', heldReason: 'customer_deleted' })
    expect(await write(customer, runId)).toBe('uncollectable')
    expect(await keysOf(customer)).toEqual([])
    const { suspendedAt, planId, stripeCustomerId } = await workspaceOf(customer)
    expect([suspendedAt === null, planId, stripeCustomerId]).toEqual([false, 'plus', customer.customerId])
    const admin = await makeMember(customer.workspaceId, 'billing_admin')
    await expect(openBillingPortal(admin)).rejects.toMatchObject({ code: 'workspace_suspended' })
    expect(Object.keys(world.sandbox.world.state.customers)).toHaveLength(customers)
    const alert = { kind: 'customer_deleted', reference: customer.customerId, resolvedAt: null }
    expect(await inSystem((tx) => tx.alert.count({ where: alert }))).toBe(1)
  })
})
