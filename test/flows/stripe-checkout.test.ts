import { describe, expect, test } from 'vitest'
import {
  getPaymentState,
  listPlansOnSale,
  readCheckout,
  refreshFromStripe,
} from '#app/domain/billing/payment-queries.server.ts'
import { openBillingPortal, startPlanCheckout, startTopUp } from '#app/domain/billing/start-checkout.server.ts'
import { sweepStripe } from '#app/domain/billing/sweep-stripe.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'
import { holdDeliveries, letDeliveries, settle, webhookEndpoint, workspaceOf } from './billing-endpoint.ts'
import { billingWorld, type Customer, makeCustomer } from './billing-world.ts'

const world = billingWorld()
webhookEndpoint(world)

const grantsOf = async (workspaceId: string) => {
  const { rows } = await world.db.owner.query(
    'SELECT kind, reference, amount_pico::text AS pico FROM metering.credit_grants WHERE workspace_id = $1',
    [workspaceId],
  )
  return rows as { kind: string; reference: string; pico: string }[]
}
const noticesOf = (customer: Customer) =>
  inSystem((tx) =>
    tx.notice.findMany({ where: { workspaceId: customer.workspaceId, dismissedAt: null }, select: { kind: true } }),
  ).then((rows) => rows.map(({ kind }) => kind))
const sessionOf = (url: string): string => new URL(url).pathname.split('/').at(-1) ?? ''
const adminOf = async (workspaceId: string): Promise<Ctx> => ({
  ...(await makeMember(workspaceId, 'billing_admin')),
  now: () => world.now(),
})
const productOf = async (plan: 'pro') => {
  const { product } = await world.stripe.prices.retrieve(world.prices[plan])
  return typeof product === 'string' ? product : product.id
}
const pay = (id: string, how: 'card' | 'declined' | 'debit') => world.sandbox.control.payCheckout(id, how)

describe('a top-up', () => {
  const start = async (amountCents = 2_500) => {
    const customer = await makeCustomer(world, { plan: 'pro' })
    const admin = await adminOf(customer.workspaceId)
    return { customer, admin, id: sessionOf(await startTopUp(admin, { amountCents })) }
  }

  test('case 42: completed unpaid grants nothing, async_payment_succeeded grants once, however often it is told', async () => {
    const { customer, admin, id } = await start()
    pay(id, 'debit')
    await settle(world)
    expect(await grantsOf(customer.workspaceId)).toEqual([])
    expect(await readCheckout(admin, id)).toMatchObject({ kind: 'top_up', status: 'complete', paymentStatus: 'unpaid' })
    world.sandbox.webhooks.knobs = { copies: 3 }
    world.sandbox.control.settleCheckout(id, true)
    await settle(world)
    world.sandbox.webhooks.knobs = {}
    for (const event of Object.values(world.sandbox.world.state.events))
      if (event.type.startsWith('checkout.session.')) world.sandbox.control.resendEvent(event.id)
    await settle(world)
    await readCheckout(admin, id)
    const once = [{ kind: 'purchased', reference: `stripe:${id}`, pico: '25000000000000' }]
    expect(await grantsOf(customer.workspaceId)).toEqual(once)
    expect(await readCheckout(admin, id)).toMatchObject({ status: 'complete', paymentStatus: 'paid' })
  })

  test('paid by card it is granted at completed, and the page that comes back first grants it as well, once', async () => {
    const { customer, admin, id } = await start()
    holdDeliveries(world)
    pay(id, 'card')
    expect(await readCheckout(admin, id)).toMatchObject({ paymentStatus: 'paid', amountCents: '2500' })
    expect(await grantsOf(customer.workspaceId)).toHaveLength(1)
    letDeliveries(world)
    await settle(world)
    expect(await grantsOf(customer.workspaceId)).toHaveLength(1)
    const audit = await inSystem((tx) =>
      tx.auditEvent.findMany({ where: { workspaceId: customer.workspaceId }, select: { action: true } }),
    )
    expect(audit.map((row) => row.action)).toEqual(expect.arrayContaining(['checkout.started', 'credits.granted']))
  })

  test('a debit that the bank refuses grants nothing and tells the workspace; one that was left says so', async () => {
    const { customer, admin, id } = await start()
    pay(id, 'debit')
    world.sandbox.control.settleCheckout(id, false)
    await settle(world)
    expect(await grantsOf(customer.workspaceId)).toEqual([])
    expect(await noticesOf(customer)).toContain('debit_failed')
    const left = sessionOf(await startTopUp(admin, { amountCents: 500 }))
    expect(() => pay(left, 'declined')).toThrow('declined')
    expect(await readCheckout(admin, null)).toMatchObject({ status: 'open', paymentStatus: 'unpaid' })
    world.sandbox.control.advanceClock(25 * 3_600_000)
    await settle(world)
    expect(await readCheckout(admin, left)).toMatchObject({ status: 'expired' })
  })

  test('takes no promotion code, nor does a plan: what is bought is what is paid, and free credits are granted by name', async () => {
    const { id } = await start()
    const bought = await world.stripe.checkout.sessions.retrieve(id)
    expect(bought).toMatchObject({ mode: 'payment', allow_promotion_codes: false, amount_total: 2_500 })
    const { id: workspaceId } = await makeWorkspace({ planId: 'plus' })
    const plan = await startPlanCheckout(await adminOf(workspaceId), { planId: 'pro' })
    expect(await world.stripe.checkout.sessions.retrieve(sessionOf(plan))).toMatchObject({
      mode: 'subscription',
      allow_promotion_codes: false,
    })
  })

  test('of a database that was restored to before it was started is granted all the same, by its metadata', async () => {
    const { customer, id } = await start()
    await world.db.owner.query('DELETE FROM checkouts WHERE id = $1', [id])
    pay(id, 'card')
    await settle(world)
    expect(await grantsOf(customer.workspaceId)).toHaveLength(1)
  })

  test('paid by the customer of another workspace grants nothing there', async () => {
    const victim = await makeCustomer(world, { plan: 'pro' })
    const other = await makeCustomer(world, { plan: 'pro' })
    const session = await world.stripe.checkout.sessions.create({
      mode: 'payment',
      customer: other.customerId,
      line_items: [
        { price_data: { currency: 'usd', unit_amount: 500, product_data: { name: 'Credits' } }, quantity: 1 },
      ],
      success_url: 'http://app.test/',
      metadata: { purpose: 'top_up', workspace_id: victim.workspaceId },
    })
    pay(session.id, 'card')
    await settle(world)
    expect([...(await grantsOf(victim.workspaceId)), ...(await grantsOf(other.workspaceId))]).toEqual([])
  })

  test.each([499, 500_001, 1_000.5, Number.NaN])(
    'of %s cents is refused before Stripe is asked',
    async (amountCents) => {
      const customer = await makeCustomer(world, { plan: 'pro' })
      const before = world.sandbox.journal.length
      const asked = startTopUp(await adminOf(customer.workspaceId), { amountCents })
      await expect(asked).rejects.toMatchObject({ code: 'amount_not_possible', field: 'amountUsd' })
      expect(world.sandbox.journal).toHaveLength(before)
    },
  )

  test('is for billing admins and owners only, as the plan and the portal are', async () => {
    const customer = await makeCustomer(world, { plan: 'pro' })
    for (const role of ['member', 'developer'] as const) {
      const person = await makeMember(customer.workspaceId, role)
      await expect(startTopUp(person, { amountCents: 500 })).rejects.toMatchObject({ kind: 'forbidden' })
      await expect(startPlanCheckout(person, { planId: 'pro' })).rejects.toMatchObject({ kind: 'forbidden' })
      await expect(openBillingPortal(person)).rejects.toMatchObject({ kind: 'forbidden' })
      await expect(getPaymentState(person)).rejects.toMatchObject({ kind: 'forbidden' })
    }
  })
})

describe('buying a plan', () => {
  test('makes one customer, and the plan begins with the payment; a second subscription is refused', async () => {
    const { id: workspaceId } = await makeWorkspace({ planId: 'plus' })
    const admin = await adminOf(workspaceId)
    const links = await Promise.all([
      startPlanCheckout(admin, { planId: 'enterprise' }),
      startPlanCheckout(admin, { planId: 'enterprise' }),
    ])
    const customers = new Set(
      links.map((link) => world.sandbox.world.state.checkoutSessions[sessionOf(link)]?.customer),
    )
    expect(customers.size).toBe(1)
    const [customerId] = customers
    const customer = { workspaceId, customerId: customerId ?? '', subscriptionId: '' }
    expect(await workspaceOf(customer)).toMatchObject({ stripeCustomerId: customerId, planId: 'plus' })
    pay(sessionOf(links[0] ?? ''), 'card')
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'active' })
    expect(await readCheckout(admin, sessionOf(links[0] ?? ''))).toMatchObject({
      kind: 'plan',
      paymentStatus: 'paid',
      planName: 'Enterprise',
    })
    await expect(startPlanCheckout(admin, { planId: 'pro' })).rejects.toMatchObject({ code: 'already_subscribed' })
    expect((await listPlansOnSale(admin)).find((plan) => plan.current)?.id).toBe('enterprise')
  })

  test('is refused for a plan without a price, of another product, and one whose price nobody could choose', async () => {
    const { id } = await makeWorkspace({ planId: 'plus' })
    const admin = await adminOf(id)
    await expect(startPlanCheckout(admin, { planId: 'openrouter-only' })).rejects.toMatchObject({
      code: 'plan_not_sold',
    })
    await expect(startPlanCheckout(admin, { planId: 'nothing' })).rejects.toMatchObject({ code: 'plan_not_sold' })
    const yearly = {
      product: await productOf('pro'),
      currency: 'usd',
      unit_amount: 90_000,
      recurring: { interval: 'year' as const },
    }
    const price = await world.stripe.prices.create(yearly)
    await expect(startPlanCheckout(admin, { planId: 'pro' })).rejects.toMatchObject({ code: 'plan_not_sold' })
    await world.stripe.prices.update(price.id, { active: false })
  })

  test('with tax on, asks for the address and does not begin before tax knows the place', async () => {
    world.db.configure({ STRIPE_TAX: 'automatic', STRIPE_TAX_CODE: 'txcd_10103001' })
    try {
      const { id } = await makeWorkspace({ planId: 'plus' })
      const admin = await adminOf(id)
      const session = sessionOf(await startPlanCheckout(admin, { planId: 'pro' }))
      expect(() => pay(session, 'card')).toThrow('Tax cannot be computed')
      world.sandbox.control.payCheckout(session, 'card', { country: 'DE' })
      await settle(world)
      expect(await readCheckout(admin, session)).toMatchObject({ paymentStatus: 'paid' })
      const top = world.sandbox.world.state.checkoutSessions[sessionOf(await startTopUp(admin, { amountCents: 700 }))]
      expect(top).toMatchObject({ automaticTax: true, savesAddress: true })
    } finally {
      world.db.configure({ STRIPE_TAX: 'off', STRIPE_TAX_CODE: '' })
    }
  })

  test('while Stripe does not answer says so, and starts nothing', async () => {
    const customer = await makeCustomer(world, { plan: 'pro' })
    world.sandbox.faults.add({ operation: '*', times: 50, when: 'before', effect: 'server_error' })
    const admin = await adminOf(customer.workspaceId)
    await expect(startTopUp(admin, { amountCents: 500 })).rejects.toMatchObject({ code: 'stripe_unavailable' })
    expect(await readCheckout(admin, null)).toEqual({ kind: 'unknown' })
  })
})

describe('the portal and how a workspace pays', () => {
  test('the card, its expiry and a failing one are shown; the portal’s new card mends it', async () => {
    const customer = await makeCustomer(world, { plan: 'pro' })
    const admin = await adminOf(customer.workspaceId)
    await settle(world)
    const card = { kind: 'card', brand: 'visa', last4: '4242', expires: '12/2034', expiry: 'good' }
    expect(await getPaymentState(admin)).toMatchObject({ method: card, dunning: null, hasSubscription: true })
    const portal = sessionOf(await openBillingPortal(admin))
    expect(world.sandbox.world.state.portalSessions[portal]?.returnUrl).toMatch(/settings\/billing\?back=portal$/)
    world.sandbox.control.actAtPortal(portal, { act: 'card', card: 'declines' })
    world.sandbox.control.advanceClock(32 * 86_400_000)
    await settle(world)
    const late = await getPaymentState(admin)
    expect(late).toMatchObject({ subscriptionStatus: 'past_due', dunning: { owedCents: '10000' } })
    expect(late.dunning?.nextAttemptAt).not.toBeNull()
    expect(late.dunning?.payUrl).toContain('/_sandbox/invoices/')
    expect(await noticesOf(customer)).toEqual(['payment_failed'])
    world.sandbox.control.actAtPortal(portal, { act: 'card', card: 'works' })
    world.sandbox.control.advanceClock(4 * 86_400_000)
    await settle(world)
    expect(await getPaymentState(admin)).toMatchObject({
      subscriptionStatus: 'active',
      dunning: null,
      method: { brand: 'mastercard', last4: '4444' },
    })
    expect(await noticesOf(customer)).toEqual([])
  })

  test('a card that ends soon, and none at all, are told apart; coming back from the portal asks Stripe', async () => {
    const customer = await makeCustomer(world, { plan: 'pro' })
    const admin = await adminOf(customer.workspaceId)
    const { state } = world.sandbox.world
    const method = state.paymentMethods[state.customers[customer.customerId]?.defaultPaymentMethod ?? '']
    const now = admin.now()
    Object.assign(method ?? {}, { expMonth: now.getUTCMonth() + 1, expYear: now.getUTCFullYear() })
    await refreshFromStripe(admin)
    expect((await getPaymentState(admin)).method).toMatchObject({ expiry: 'expiring' })
    state.customers[customer.customerId]!.defaultPaymentMethod = null
    await sweepStripe(admin.now())
    expect((await getPaymentState(admin)).method).toBeNull()
  })

  test('a workspace that never paid has no portal', async () => {
    const { id } = await makeWorkspace({ planId: 'plus' })
    await expect(openBillingPortal(await adminOf(id))).rejects.toMatchObject({ code: 'no_customer_yet' })
  })
})
