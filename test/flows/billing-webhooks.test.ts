import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Logger, type Runner, run } from 'graphile-worker'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { receiveStripeEvent } from '#app/domain/billing/receive-stripe-event.server.ts'
import { sweepStripe } from '#app/domain/billing/sweep-stripe.server.ts'
import { syncStripeObject } from '#app/domain/billing/sync-stripe-object.server.ts'
import { listPurgeCertificates } from '#app/domain/vault/queries.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { makeMember, saveKeyDirectly } from '#test/factories.ts'
import { signature } from '#test/sandbox/stripe/webhooks.ts'
import {
  billingWorld,
  type Customer,
  freezeOctober,
  makeCustomer,
  OCTOBER_USAGE,
  recordUsage,
  runRow,
  write,
} from './billing-world.ts'

const world = billingWorld()
const SECRET = 'whsec_flows'
const KEY = `sk-or-v1-${'0123456789abcdef'.repeat(4)}`
let endpoint: Server
let answers: number[]
let failures = 0

/** The doorway as the server has it: raw bytes in, the domain's answer out. */
beforeAll(async () => {
  world.db.configure({ STRIPE_WEBHOOK_SECRET: `${SECRET},whsec_next` })
  endpoint = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', async () => {
      const header = request.headers['stripe-signature']
      const status =
        failures-- > 0
          ? 500
          : await receiveStripeEvent({
              rawBody: Buffer.concat(chunks),
              signature: header?.toString(),
              now: new Date(),
            }).then(
              () => 200,
              (error: unknown) => (error instanceof AppError ? (error.kind === 'too_large' ? 413 : 400) : 500),
            )
      answers.push(status)
      response.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/webhook`
  world.sandbox.webhooks.endpoint = { url, secret: SECRET }
})
beforeEach(() => {
  answers = []
  failures = 0
})
afterAll(() => new Promise((resolve) => endpoint.close(resolve)))

/** Delivers what waits and runs the jobs it made, with the real queue, until none is left. */
async function settle(): Promise<void> {
  await world.sandbox.webhooks.settled()
  const runner: Runner = await run({
    pgPool: systemPool(),
    concurrency: 3,
    noHandleSignals: true,
    logger: new Logger(() => () => undefined),
    taskList: {
      'sync-stripe-object': async (payload) => {
        await syncStripeObject(payload as { eventId: string }, new Date())
      },
    },
  })
  const waiting = () =>
    systemPool().query(
      "SELECT 1 FROM graphile_worker.jobs WHERE task_identifier = 'sync-stripe-object' AND attempts = 0",
    )
  await expect.poll(async () => (await waiting()).rowCount, { timeout: 15_000 }).toBe(0)
  await runner.stop()
}

async function customerWithKey() {
  const customer = await makeCustomer(world)
  const admin = await makeMember(customer.workspaceId, 'owner')
  await saveKeyDirectly(admin, KEY)
  await settle()
  return { customer, admin }
}

const workspaceOf = (customer: Customer) =>
  inSystem((tx) => tx.workspace.findUniqueOrThrow({ where: { id: customer.workspaceId } }))
const keysOf = (customer: Customer) =>
  inSystem((tx) => tx.providerKey.findMany({ where: { workspaceId: customer.workspaceId }, select: { enabled: true } }))
const dataKeys = (customer: Customer) =>
  inSystem((tx) => tx.workspaceDataKey.count({ where: { workspaceId: customer.workspaceId } }))
const storedEvents = () => inSystem((tx) => tx.stripeEvent.count())
const subscriptionItem = async (customer: Customer) =>
  (await world.stripe.subscriptions.retrieve(customer.subscriptionId)).items.data[0]?.id

async function moveTo(customer: Customer, plan: 'pro' | 'enterprise'): Promise<void> {
  await world.stripe.subscriptions.update(customer.subscriptionId, {
    items: [{ id: await subscriptionItem(customer), price: world.prices[plan] }],
  })
}

describe('leaving Enterprise (stripe §2.7)', () => {
  test('a downgrade applied now changes the plan and destroys the key in one transaction, with a certificate', async () => {
    const { customer, admin } = await customerWithKey()
    const epoch = (await workspaceOf(customer)).keyEpoch
    await moveTo(customer, 'pro')
    await settle()
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro', subscriptionStatus: 'active' })
    expect(await keysOf(customer)).toEqual([])
    expect(await dataKeys(customer)).toBe(0)
    expect((await workspaceOf(customer)).keyEpoch).toBeGreaterThan(epoch)
    const [certificate] = await listPurgeCertificates(admin)
    expect(certificate).toMatchObject({ cause: 'plan_changed', fromPlan: 'enterprise', toPlan: 'pro' })
    expect(certificate?.causeReference).toMatch(/^evt_sbx_/)
    const audit = await inSystem((tx) =>
      tx.auditEvent.findMany({ where: { workspaceId: customer.workspaceId }, select: { action: true } }),
    )
    expect(audit.map((row) => row.action)).toEqual(
      expect.arrayContaining(['workspace.plan_changed', 'provider_key.purged']),
    )
  })

  test('when the purge fails the plan does not change either', async () => {
    const { customer } = await customerWithKey()
    await world.db.owner.query(
      `CREATE FUNCTION fail_purge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full'; END $$;
       CREATE TRIGGER fail_purge BEFORE DELETE ON workspace_data_keys FOR EACH ROW EXECUTE FUNCTION fail_purge()`,
    )
    world.sandbox.webhooks.pause()
    await moveTo(customer, 'pro')
    await expect(sweepStripe(new Date())).resolves.toMatchObject({ failed: 1 })
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise' })
    expect(await keysOf(customer)).toHaveLength(1)
    await world.db.owner.query('DROP TRIGGER fail_purge ON workspace_data_keys; DROP FUNCTION fail_purge')
    world.sandbox.webhooks.resume()
    await settle()
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro' })
    expect(await keysOf(customer)).toEqual([])
  })

  test('cancel at period end, set and unset again, never touches the key; the end does (case 45)', async () => {
    const { customer } = await customerWithKey()
    await world.stripe.subscriptions.update(customer.subscriptionId, { cancel_at_period_end: true })
    await settle()
    expect((await workspaceOf(customer)).subscriptionEndsAt).not.toBeNull()
    expect(await keysOf(customer)).toHaveLength(1)
    await world.stripe.subscriptions.update(customer.subscriptionId, { cancel_at_period_end: false })
    await settle()
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionEndsAt: null })
    await world.stripe.subscriptions.cancel(customer.subscriptionId)
    await settle()
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus', subscriptionStatus: 'canceled' })
    expect(await keysOf(customer)).toEqual([])
  })

  test('past due keeps the key and warns; unpaid destroys it; paying later brings the plan back, not the key (case 46)', async () => {
    const { customer } = await customerWithKey()
    world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'past_due' })
    await settle()
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'past_due' })
    expect(await keysOf(customer)).toHaveLength(1)
    world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'unpaid' })
    await settle()
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus' })
    expect(await keysOf(customer)).toEqual([])
    world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'active' })
    await settle()
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise' })
    expect(await keysOf(customer)).toEqual([])
  })

  test('paused disables the key, resuming enables it, thirty days of pause destroy it', async () => {
    const { customer } = await customerWithKey()
    world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'paused' })
    await settle()
    expect(await keysOf(customer)).toEqual([{ enabled: false }])
    world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'active' })
    await settle()
    expect(await keysOf(customer)).toEqual([{ enabled: true }])
    const longAgo = Math.floor(Date.now() / 1000) - 31 * 86_400
    world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'paused', pausedAt: longAgo })
    await settle()
    expect(await keysOf(customer)).toEqual([])
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'paused' })
  })

  test('an upgrade that awaits its payment is not Enterprise yet (case 47)', async () => {
    const customer = await makeCustomer(world, { plan: 'pro' })
    await world.stripe.subscriptions.update(customer.subscriptionId, {
      items: [{ id: await subscriptionItem(customer), price: world.prices.enterprise }],
      payment_behavior: 'pending_if_incomplete',
    })
    await settle()
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro' })
    const admin = await makeMember(customer.workspaceId, 'owner')
    await expect(saveProviderKey(admin, { provider: 'openrouter', key: KEY })).rejects.toMatchObject({
      kind: 'forbidden',
    })
  })

  test('a deleted customer leaves at once; a second good subscription keeps the plan', async () => {
    const { customer } = await customerWithKey()
    await world.stripe.subscriptions.create({
      customer: customer.customerId,
      items: [{ price: world.prices.enterprise }],
    })
    await world.stripe.subscriptions.cancel(customer.subscriptionId)
    await settle()
    expect(await keysOf(customer)).toHaveLength(1)
    await world.stripe.customers.del(customer.customerId)
    await settle()
    expect(await keysOf(customer)).toEqual([])
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus' })
  })

  test('left and re-joined within minutes: the key stays gone (case 52)', async () => {
    const { customer } = await customerWithKey()
    await moveTo(customer, 'pro')
    await settle()
    await moveTo(customer, 'enterprise')
    await settle()
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise' })
    expect(await keysOf(customer)).toEqual([])
  })

  test('a product nobody mapped keeps the plan and alerts (case 39)', async () => {
    const { customer } = await customerWithKey()
    const product = await world.stripe.products.create({ name: 'New' })
    const price = await world.stripe.prices.create({
      product: product.id,
      currency: 'usd',
      unit_amount: 1,
      recurring: { interval: 'month' },
    })
    await world.stripe.subscriptions.update(customer.subscriptionId, {
      items: [{ id: await subscriptionItem(customer), price: price.id }],
    })
    await settle()
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise' })
    expect(await keysOf(customer)).toHaveLength(1)
    expect(
      await inSystem((tx) => tx.alert.count({ where: { kind: 'stripe_unknown_product', reference: product.id } })),
    ).toBe(1)
  })
})

describe('events', () => {
  test('each delivered ten times is one row and one effect; all answers are 200 (case 31)', async () => {
    const { customer } = await customerWithKey()
    const before = await storedEvents()
    answers = []
    world.sandbox.webhooks.knobs = { copies: 10 }
    await world.stripe.subscriptions.update(customer.subscriptionId, { description: 'changed' })
    await world.sandbox.webhooks.settled()
    expect(answers).toEqual(Array(10).fill(200))
    expect(await storedEvents()).toBe(before + 1)
    await settle()
  })

  test('in any order the end is what Stripe holds (cases 32, 33)', async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const { customer } = await customerWithKey()
      world.sandbox.webhooks.knobs = { reorderSeed: seed, copies: 2 }
      world.sandbox.webhooks.pause()
      await moveTo(customer, 'pro')
      await moveTo(customer, 'enterprise')
      await world.stripe.subscriptions.cancel(customer.subscriptionId)
      world.sandbox.webhooks.resume()
      await settle()
      expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus', subscriptionStatus: 'canceled' })
      expect(await keysOf(customer)).toEqual([])
    }
  })

  test('one of another API version is read by nothing but its ids (case 37)', async () => {
    const { customer } = await customerWithKey()
    const old = {
      id: customer.subscriptionId,
      object: 'subscription',
      customer: customer.customerId,
      status: 'canceled',
      current_period_end: 1,
    }
    world.sandbox.control.sendEvent('customer.subscription.updated', old, { apiVersion: '2020-08-27' })
    await settle()
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise' })
    expect(await keysOf(customer)).toHaveLength(1)
  })

  test('of live mode, or of a type that is not ours: 200, no row, no job (cases 38, 172)', async () => {
    const before = await storedEvents()
    const customer = { id: 'cus_live', object: 'customer', deleted: true }
    world.sandbox.control.sendEvent('customer.deleted', customer, { livemode: true })
    world.sandbox.control.sendEvent('product.deleted', { id: 'prod_1', object: 'product', deleted: true })
    await world.sandbox.webhooks.settled()
    expect(answers).toEqual([200, 200])
    expect(await storedEvents()).toBe(before)
  })

  test('of a customer nobody knows: stored, alerted, nothing changed (case 174)', async () => {
    const stranger = await world.stripe.customers.create({ name: 'Stranger' })
    await world.stripe.customers.update(stranger.id, { name: 'Still' })
    await settle()
    expect(
      await inSystem((tx) => tx.alert.count({ where: { kind: 'stripe_unknown_customer', reference: stranger.id } })),
    ).toBe(1)
  })

  test('refused by our side while the database is down, they come again and lose nothing (case 40)', async () => {
    const { customer } = await customerWithKey()
    failures = 2
    answers = []
    await moveTo(customer, 'pro')
    await settle()
    expect(answers).toEqual([500, 500, 200])
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro' })
  })

  test('that never came are made good by the hourly sweep (case 41)', async () => {
    const { customer } = await customerWithKey()
    world.sandbox.webhooks.knobs = { drop: () => true }
    await moveTo(customer, 'pro')
    await settle()
    expect(await keysOf(customer)).toHaveLength(1)
    await sweepStripe(new Date())
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro' })
    expect(await keysOf(customer)).toEqual([])
  })

  test('of our invoices are mirrored; of the plan fee they are not ours', async () => {
    const customer = await makeCustomer(world, { card: 'none' })
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const runId = await freezeOctober(customer)
    await write(customer, runId)
    await settle()
    expect(await runRow(customer, runId)).toMatchObject({ stripeStatus: 'open' })
    const { stripeInvoiceId } = await runRow(customer, runId)
    await world.stripe.invoices.pay(stripeInvoiceId ?? '', { paid_out_of_band: true })
    await settle()
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
    expect(await post(body, signature(body, { secret: 'whsec_next' }, seconds()))).toBe(200)
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
