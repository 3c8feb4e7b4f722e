import Stripe from 'stripe'
import { describe, expect, test } from 'vitest'
import { sweepStripe } from '#app/domain/billing/sweep-stripe.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { signature } from '#test/sandbox/stripe/webhooks.ts'
import {
  customerWithKey,
  holdDeliveries,
  keysOf,
  letDeliveries,
  moveTo,
  NEXT_SECRET,
  SECRET,
  settle,
  webhookEndpoint,
  workspaceOf,
} from './billing-endpoint.ts'
import {
  billingWorld,
  type Customer,
  expectOneInvoice,
  freezeOctober,
  makeCustomer,
  OCTOBER,
  OCTOBER_USAGE,
  type PlanId,
  recordUsage,
  runRow,
  write,
} from './billing-world.ts'
import { needsDeliveries } from './stripe-target.ts'

const world = billingWorld()
const endpoint = webhookEndpoint(world)
const storedEvents = () => inSystem((tx) => tx.stripeEvent.count())

describe('events', () => {
  test('case 31: the same event ten times is one row and one effect; all answers are 200', async () => {
    const { customer } = await customerWithKey(world)
    const before = await storedEvents()
    endpoint.answers = []
    world.sandbox.webhooks.knobs = { copies: 10 }
    await world.stripe.subscriptions.update(customer.subscriptionId, { description: 'changed' })
    await world.sandbox.webhooks.settled()
    expect(endpoint.answers).toEqual(Array(10).fill(200))
    expect(await storedEvents()).toBe(before + 1)
    await settle(world)
    world.sandbox.webhooks.knobs = { copies: 10 }
    await moveTo(world, customer, 'pro')
    await settle(world)
    const changes = { workspaceId: customer.workspaceId, action: 'workspace.plan_changed' }
    expect(await inSystem((tx) => tx.auditEvent.count({ where: changes }))).toBe(1)
    expect(await inSystem((tx) => tx.keyPurge.count({ where: { workspaceId: customer.workspaceId } }))).toBe(1)
  })

  test('shuffled and doubled, real events end in what Stripe holds', async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const { customer } = await customerWithKey(world)
      world.sandbox.webhooks.knobs = { reorderSeed: seed, copies: 2 }
      holdDeliveries(world)
      await moveTo(world, customer, 'pro')
      await moveTo(world, customer, 'enterprise')
      await world.stripe.subscriptions.cancel(customer.subscriptionId)
      letDeliveries(world)
      await settle(world)
      expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus', subscriptionStatus: 'canceled' })
      expect(await keysOf(customer)).toEqual([])
    }
  })

  /** What an event claims of a subscription, true or not. */
  const claim = (customer: Customer, type: string, status: string, plan: PlanId) =>
    world.sandbox.control.sendEvent(`customer.subscription.${type}`, {
      id: customer.subscriptionId,
      object: 'subscription',
      customer: customer.customerId,
      status,
      items: { data: [{ price: { product: `prod_sbx_${plan}` } }] },
    })
  const orders = <T>(items: T[]): T[][] =>
    items.length < 2
      ? [items]
      : items.flatMap((item, index) => orders(items.toSpliced(index, 1)).map((rest) => [item, ...rest]))

  test('case 32: all 24 orders of created, updated to Enterprise, updated to Pro and deleted end in what Stripe holds', async () => {
    const { customer } = await customerWithKey(world)
    const claims = [
      () => claim(customer, 'created', 'incomplete', 'enterprise'),
      () => claim(customer, 'updated', 'active', 'enterprise'),
      () => claim(customer, 'updated', 'active', 'pro'),
      () => claim(customer, 'deleted', 'canceled', 'pro'),
    ]
    await moveTo(world, customer, 'pro')
    await settle(world)
    const permutations = orders(claims)
    expect(permutations).toHaveLength(24)
    for (const permutation of permutations) {
      await inSystem((tx) => tx.workspace.update({ where: { id: customer.workspaceId }, data: { planId: 'plus' } }))
      for (const say of permutation) {
        say()
        await world.sandbox.webhooks.settled()
      }
      await settle(world)
      expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro', subscriptionStatus: 'active' })
      expect(await keysOf(customer)).toEqual([])
    }
  })

  test('case 33: deleted, and then a late update that says active: it stays ended and the keys stay purged', async () => {
    const { customer } = await customerWithKey(world)
    await world.stripe.subscriptions.cancel(customer.subscriptionId)
    await settle(world)
    claim(customer, 'updated', 'active', 'enterprise')
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus', subscriptionStatus: 'canceled' })
    expect(await keysOf(customer)).toEqual([])
  })

  test('case 37: an event of another API version, its period at the top, is read by nothing but its ids', async () => {
    const { customer } = await customerWithKey(world)
    const old = {
      id: customer.subscriptionId,
      object: 'subscription',
      customer: customer.customerId,
      status: 'canceled',
      current_period_end: 1,
    }
    world.sandbox.control.sendEvent('customer.subscription.updated', old, { apiVersion: '2020-08-27' })
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise' })
    expect(await keysOf(customer)).toHaveLength(1)
  })

  test('case 38: a live event at a test deployment, and a test event at a live one: 200, ignored, counted', async () => {
    const before = await storedEvents()
    const counted = async () =>
      (await inSystem((tx) => tx.alert.findMany({ where: { kind: 'stripe_other_mode' } }))).map((row) => [
        row.reference,
        row.occurrences,
      ])
    const customer = { id: 'cus_live', object: 'customer', deleted: true }
    for (let time = 0; time < 2; time++)
      world.sandbox.control.sendEvent('customer.deleted', customer, { livemode: true })
    await world.sandbox.webhooks.settled()
    expect(endpoint.answers).toEqual([200, 200])
    expect(await counted()).toEqual([['live', 2]])
    world.db.configure({ STRIPE_SECRET_KEY: 'sk_live_0123456789' })
    world.sandbox.control.sendEvent('customer.deleted', customer)
    await world.sandbox.webhooks.settled()
    world.db.configure({ STRIPE_SECRET_KEY: world.sandbox.apiKey })
    expect(endpoint.answers).toEqual([200, 200, 200])
    expect((await counted()).toSorted()).toEqual([
      ['live', 2],
      ['test', 1],
    ])
    expect(await storedEvents()).toBe(before)
  })

  test('of a type that is not ours: 200, no row, no job', async () => {
    const before = await storedEvents()
    world.sandbox.control.sendEvent('product.deleted', { id: 'prod_1', object: 'product', deleted: true })
    await world.sandbox.webhooks.settled()
    expect(endpoint.answers).toEqual([200])
    expect(await storedEvents()).toBe(before)
  })

  test('case 39: of a customer nobody knows: stored, alerted, nothing changed', async () => {
    needsDeliveries(world)
    const stranger = await world.stripe.customers.create({ name: 'Stranger' })
    await world.stripe.customers.update(stranger.id, { name: 'Still' })
    await settle(world)
    expect(
      await inSystem((tx) => tx.alert.count({ where: { kind: 'stripe_unknown_customer', reference: stranger.id } })),
    ).toBe(1)
    const stored = await inSystem((tx) => tx.stripeEvent.findMany({ where: { customerId: stranger.id } }))
    expect(new Set(stored.map(({ type, outcome }) => `${type} ${outcome}`))).toEqual(
      new Set(['customer.updated unknown_customer']),
    )
    expect(await inSystem((tx) => tx.workspace.count({ where: { stripeCustomerId: stranger.id } }))).toBe(0)
  })

  test('case 40: answered 500 while the database is down, they come again and lose nothing', async () => {
    needsDeliveries(world)
    const { customer } = await customerWithKey(world)
    endpoint.failures = 2
    endpoint.answers = []
    await moveTo(world, customer, 'pro')
    await settle(world)
    expect(endpoint.answers).toEqual([500, 500, 200])
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro' })
  })

  test('that never came are made good by the hourly sweep', async () => {
    const { customer } = await customerWithKey(world)
    world.sandbox.webhooks.knobs = { drop: () => true }
    await moveTo(world, customer, 'pro')
    await settle(world)
    expect(await keysOf(customer)).toHaveLength(1)
    await sweepStripe(world.now())
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro' })
    expect(await keysOf(customer)).toEqual([])
  })

  test('of our invoices are mirrored; of the plan fee they are not ours', async () => {
    const customer = await makeCustomer(world, { card: 'none' })
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const runId = await freezeOctober(customer)
    await write(customer, runId)
    await settle(world)
    expect(await runRow(customer, runId)).toMatchObject({ stripeStatus: 'open' })
    const { stripeInvoiceId } = await runRow(customer, runId)
    await world.stripe.invoices.pay(stripeInvoiceId ?? '', { paid_out_of_band: true })
    await settle(world)
    expect(await runRow(customer, runId)).toMatchObject({ stripeStatus: 'paid', state: 'done' })
    const outcomes = await inSystem((tx) =>
      tx.stripeEvent.findMany({ where: { customerId: customer.customerId }, select: { outcome: true } }),
    )
    expect(outcomes.map((row) => row.outcome)).toEqual(
      expect.arrayContaining(['invoice_paid, plan_enterprise', 'not_ours, plan_enterprise']),
    )
    expect(outcomes.every((row) => row.outcome !== null)).toBe(true)
  })
})

describe('the whole month through the queue', () => {
  test('the cron’s job closes it, Stripe collects, and its webhooks say so on our page', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    await inSystem((tx) => enqueueJob(tx, 'close-month', { month: OCTOBER }))
    await settle(world)
    const run = await inSystem((tx) => tx.invoiceRun.findFirstOrThrow({ where: { workspaceId: customer.workspaceId } }))
    await expectOneInvoice(world, customer, run.id)
    expect(await runRow(customer, run.id)).toMatchObject({ state: 'done', stripeStatus: 'paid' })
  })
})

describe('signatures', () => {
  const body = JSON.stringify({
    id: 'evt_sig_1',
    object: 'event',
    type: 'customer.updated',
    livemode: false,
    created: 1,
    data: { object: { id: 'cus_x', object: 'customer' } },
  })
  const post = (payload: string, header: string | undefined) =>
    world.sandbox.webhooks.post(payload, header === undefined ? {} : { 'stripe-signature': header })
  const seconds = (skew = 0) => Math.floor(Date.now() / 1000) + skew

  test('case 34: a missing or wrong signature, an old one, a body that was parsed and written again: 400, no row, no job', async () => {
    const before = await storedEvents()
    const good = signature(body, { secret: SECRET }, seconds())
    expect(await post(body, undefined)).toBe(400)
    expect(await post(body, 'nonsense')).toBe(400)
    expect(await post(body, signature(body, { secret: 'whsec_wrong' }, seconds()))).toBe(400)
    expect(await post(JSON.stringify(JSON.parse(body), null, 2), good)).toBe(400)
    expect(await post(body, signature(body, { secret: SECRET }, seconds(-302)))).toBe(400)
    expect(await storedEvents()).toBe(before)
    const { rows } = await world.db.owner.query(
      `SELECT count(*)::int AS n FROM graphile_worker.jobs WHERE key = 'stripe:cus_x'`,
    )
    expect(rows).toEqual([{ n: 0 }])
  })

  test('case 35: an hour in the future is refused by a check of our own: the SDK accepts it', async () => {
    const before = await storedEvents()
    const early = signature(body, { secret: SECRET }, seconds(3_600))
    expect(() => Stripe.webhooks.constructEvent(body, early, SECRET)).not.toThrow()
    expect(await post(body, early)).toBe(400)
    expect(await post(body, signature(body, { secret: SECRET }, seconds(302)))).toBe(400)
    expect(await storedEvents()).toBe(before)
  })

  test('case 36: of either secret while one is being rolled, or of both: 200', async () => {
    expect(await post(body, signature(body, { secret: NEXT_SECRET }, seconds()))).toBe(200)
    expect(await post(body, signature(body, { secret: 'whsec_other', secondSecret: SECRET }, seconds(-290)))).toBe(200)
  })

  test('fifty at once of the same event are one row (case 175), and 1.1 MB is refused (case 171)', async () => {
    const before = await storedEvents()
    const parallel = body.replace('evt_sig_1', 'evt_sig_50')
    const header = signature(parallel, { secret: SECRET }, seconds())
    const statuses = await Promise.all(Array.from({ length: 50 }, () => post(parallel, header)))
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect(await storedEvents()).toBe(before + 1)
    const large = 'x'.repeat(1_100_000)
    expect(await post(large, signature(large, { secret: SECRET }, seconds()))).toBe(413)
  })
})
