import { describe, expect, test } from 'vitest'
import { sweepStripe } from '#app/domain/billing/sweep-stripe.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { signature } from '#test/sandbox/stripe/webhooks.ts'
import {
  customerWithKey,
  keysOf,
  moveTo,
  NEXT_SECRET,
  SECRET,
  settle,
  webhookEndpoint,
  workspaceOf,
} from './billing-endpoint.ts'
import {
  billingWorld,
  expectOneInvoice,
  freezeOctober,
  makeCustomer,
  OCTOBER,
  OCTOBER_USAGE,
  recordUsage,
  runRow,
  write,
} from './billing-world.ts'

const world = billingWorld()
const endpoint = webhookEndpoint(world)
const storedEvents = () => inSystem((tx) => tx.stripeEvent.count())

describe('events', () => {
  test('each delivered ten times is one row and one effect; all answers are 200 (case 31)', async () => {
    const { customer } = await customerWithKey(world)
    const before = await storedEvents()
    endpoint.answers = []
    world.sandbox.webhooks.knobs = { copies: 10 }
    await world.stripe.subscriptions.update(customer.subscriptionId, { description: 'changed' })
    await world.sandbox.webhooks.settled()
    expect(endpoint.answers).toEqual(Array(10).fill(200))
    expect(await storedEvents()).toBe(before + 1)
    await settle(world)
  })

  test('in any order the end is what Stripe holds (cases 32, 33)', async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const { customer } = await customerWithKey(world)
      world.sandbox.webhooks.knobs = { reorderSeed: seed, copies: 2 }
      world.sandbox.webhooks.pause()
      await moveTo(world, customer, 'pro')
      await moveTo(world, customer, 'enterprise')
      await world.stripe.subscriptions.cancel(customer.subscriptionId)
      world.sandbox.webhooks.resume()
      await settle(world)
      expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus', subscriptionStatus: 'canceled' })
      expect(await keysOf(customer)).toEqual([])
    }
  })

  test('one of another API version is read by nothing but its ids (case 37)', async () => {
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

  test('of live mode, or of a type that is not ours: 200, no row, no job (cases 38, 172)', async () => {
    const before = await storedEvents()
    const customer = { id: 'cus_live', object: 'customer', deleted: true }
    world.sandbox.control.sendEvent('customer.deleted', customer, { livemode: true })
    world.sandbox.control.sendEvent('product.deleted', { id: 'prod_1', object: 'product', deleted: true })
    await world.sandbox.webhooks.settled()
    expect(endpoint.answers).toEqual([200, 200])
    expect(await storedEvents()).toBe(before)
  })

  test('of a customer nobody knows: stored, alerted, nothing changed (case 174)', async () => {
    const stranger = await world.stripe.customers.create({ name: 'Stranger' })
    await world.stripe.customers.update(stranger.id, { name: 'Still' })
    await settle(world)
    expect(
      await inSystem((tx) => tx.alert.count({ where: { kind: 'stripe_unknown_customer', reference: stranger.id } })),
    ).toBe(1)
  })

  test('refused by our side while the database is down, they come again and lose nothing (case 40)', async () => {
    const { customer } = await customerWithKey(world)
    endpoint.failures = 2
    endpoint.answers = []
    await moveTo(world, customer, 'pro')
    await settle(world)
    expect(endpoint.answers).toEqual([500, 500, 200])
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro' })
  })

  test('that never came are made good by the hourly sweep (case 41)', async () => {
    const { customer } = await customerWithKey(world)
    world.sandbox.webhooks.knobs = { drop: () => true }
    await moveTo(world, customer, 'pro')
    await settle(world)
    expect(await keysOf(customer)).toHaveLength(1)
    await sweepStripe(new Date(world.sandbox.world.now()))
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

  test('missing, wrong, re-serialised, old or future: 400, no row, no job (cases 34, 35, 166–170)', async () => {
    const before = await storedEvents()
    const good = signature(body, { secret: SECRET }, seconds())
    expect(await post(body, undefined)).toBe(400)
    expect(await post(body, 'nonsense')).toBe(400)
    expect(await post(body, signature(body, { secret: 'whsec_wrong' }, seconds()))).toBe(400)
    expect(await post(JSON.stringify(JSON.parse(body), null, 2), good)).toBe(400)
    expect(await post(body, signature(body, { secret: SECRET }, seconds(-302)))).toBe(400)
    expect(await post(body, signature(body, { secret: SECRET }, seconds(302)))).toBe(400)
    expect(await post(body, signature(body, { secret: SECRET }, seconds(3_600)))).toBe(400)
    expect(await storedEvents()).toBe(before)
  })

  test('of either secret while one is being rolled, or of both: 200 (case 36)', async () => {
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
