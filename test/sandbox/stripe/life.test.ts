import type Stripe from 'stripe'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sdkClient, seedCustomer, seedPrice } from './sdk-client.ts'
import { type StripeSandbox, startStripeSandbox } from './stripe-sandbox.ts'

const START = new Date('2026-01-31T12:00:00Z')
const DAY = 86_400
let sandbox: StripeSandbox
let stripe: Stripe
beforeEach(async () => {
  sandbox = await startStripeSandbox({ contract: 'strict', now: START })
  stripe = sdkClient(sandbox)
})
// Closing fails where any exchange or event differed from the contract.
afterEach(() => sandbox.close())

const types = () => Object.values(sandbox.world.state.events).map((event) => event.type)
const seconds = (text: string) => new Date(text).getTime() / 1000
const prices = async () => ({
  pro: (await seedPrice(stripe, 'Pro', 9_900)).price,
  enterprise: (await seedPrice(stripe, 'Enterprise', 99_000)).price,
})

describe('Checkout', () => {
  const urls = { success_url: 'http://app.test/back?session={CHECKOUT_SESSION_ID}', cancel_url: 'http://app.test/left' }
  const buy = async (mode: 'payment' | 'subscription', more: Partial<Stripe.Checkout.SessionCreateParams> = {}) => {
    const customer = await seedCustomer(stripe, 'none')
    const item =
      mode === 'subscription'
        ? { price: (await prices()).enterprise, quantity: 1 }
        : { price_data: { currency: 'usd', unit_amount: 2_500, product_data: { name: 'Credits' } }, quantity: 1 }
    return stripe.checkout.sessions.create({ mode, customer, line_items: [item], ...urls, ...more })
  }
  const submit = (session: { url: string | null }, fields: Record<string, string>) =>
    fetch(session.url ?? '', { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual' })

  test('a good card pays a plan: subscription, invoice and event are there, and the browser is sent back', async () => {
    const session = await buy('subscription')
    expect(await (await fetch(session.url ?? '')).text()).toContain('990.00 USD')
    const answer = await submit(session, { pay: 'card' })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, `http://app.test/back?session=${session.id}`])
    const paid = await stripe.checkout.sessions.retrieve(session.id, { expand: ['subscription'] })
    expect(paid).toMatchObject({ status: 'complete', payment_status: 'paid', subscription: { status: 'active' } })
    expect(types()).toContain('checkout.session.completed')
  })

  test('a declined card leaves the session open; leaving does too, until it expires', async () => {
    const session = await buy('payment')
    const refused = await submit(session, { pay: 'declined' })
    expect([refused.status, await refused.text()]).toEqual([402, expect.stringContaining('declined')])
    expect((await submit(session, { pay: 'leave' })).headers.get('location')).toBe('http://app.test/left')
    expect((await stripe.checkout.sessions.retrieve(session.id)).status).toBe('open')
    sandbox.control.advanceClock(25 * 3_600_000)
    expect((await stripe.checkout.sessions.retrieve(session.id)).status).toBe('expired')
    expect(types()).toContain('checkout.session.expired')
  })

  test.each([true, false])('a bank debit completes unpaid and ends later (money came: %s)', async (succeeds) => {
    const session = await buy('payment')
    await submit(session, { pay: 'debit' })
    expect(await stripe.checkout.sessions.retrieve(session.id)).toMatchObject({
      status: 'complete',
      payment_status: 'unpaid',
    })
    if (succeeds) sandbox.control.advanceClock(3 * DAY * 1_000 + 1_000)
    else sandbox.control.settleCheckout(session.id, false)
    const { payment_status } = await stripe.checkout.sessions.retrieve(session.id)
    expect(payment_status).toBe(succeeds ? 'paid' : 'unpaid')
    expect(types()).toContain(`checkout.session.async_payment_${succeeds ? 'succeeded' : 'failed'}`)
  })

  test('with automatic tax the address is asked for, checked, and kept on the customer', async () => {
    sandbox.world.state.settings.taxBasisPoints = 1_900
    const tax = { automatic_tax: { enabled: true }, billing_address_collection: 'required' as const }
    await expect(buy('payment', tax)).rejects.toMatchObject({ code: 'customer_tax_location_invalid' })
    const session = await buy('payment', { ...tax, customer_update: { address: 'auto' } })
    expect((await submit(session, { pay: 'card', country: 'US' })).status).toBe(400)
    expect((await submit(session, { pay: 'card', country: 'DE', postal_code: '10115' })).status).toBe(303)
    const paid = await stripe.checkout.sessions.retrieve(session.id)
    expect(paid).toMatchObject({ amount_total: 2_975, customer_details: { address: { country: 'DE' } } })
  })
})

describe('the portal', () => {
  test('changes the plan now or at the end of the period, cancels and keeps it, and takes a new card', async () => {
    const { pro, enterprise } = await prices()
    const customer = await seedCustomer(stripe)
    const { id } = await stripe.subscriptions.create({ customer, items: [{ price: enterprise }] })
    const session = await stripe.billingPortal.sessions.create({ customer, return_url: 'http://app.test/billing' })
    const act = (fields: Record<string, string>) =>
      fetch(session.url, { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual' })
    const now = () => stripe.subscriptions.retrieve(id)
    expect(await (await fetch(session.url)).text()).toContain('http://app.test/billing')
    expect((await act({ act: 'change', price: pro, when: 'period_end' })).status).toBe(303)
    expect(await now()).toMatchObject({
      items: { data: [{ price: { id: enterprise } }] },
      schedule: expect.any(String),
    })
    await act({ act: 'keep' })
    expect(await now()).toMatchObject({ schedule: null })
    await act({ act: 'cancel' })
    expect(await now()).toMatchObject({ cancel_at_period_end: true })
    await act({ act: 'keep' })
    expect(await now()).toMatchObject({ cancel_at_period_end: false, cancel_at: null })
    await act({ act: 'change', price: pro, when: 'now' })
    expect(await now()).toMatchObject({ items: { data: [{ price: { id: pro } }] } })
    await act({ act: 'card', card: 'declines' })
    const { invoice_settings } = (await stripe.customers.retrieve(customer)) as Stripe.Customer
    const method = await stripe.paymentMethods.retrieve(invoice_settings.default_payment_method as string)
    expect(method.card?.last4).toBe('0341')
  })
})

describe('time', () => {
  test('a test clock advances, and then is ready; the 31st clamps to the end of February and comes back', async () => {
    const { pro } = await prices()
    const clock = await stripe.testHelpers.testClocks.create({ frozen_time: seconds('2026-01-31T12:00:00Z') })
    const customer = await stripe.customers.create({
      test_clock: clock.id,
      payment_method: 'pm_card_visa',
      invoice_settings: { default_payment_method: 'pm_card_visa' },
    })
    const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: pro }] })
    const ends: string[] = []
    for (const to of ['2026-02-28T14:00:00Z', '2026-03-31T14:00:00Z', '2026-04-30T14:00:00Z']) {
      const advancing = await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: seconds(to) })
      expect(advancing.status).toBe('advancing')
      expect((await stripe.testHelpers.testClocks.retrieve(clock.id)).status).toBe('ready')
      const [item] = (await stripe.subscriptions.retrieve(id)).items.data
      ends.push(new Date((item?.current_period_end ?? 0) * 1000).toISOString())
    }
    expect(ends).toEqual(['2026-03-31T12:00:00.000Z', '2026-04-30T12:00:00.000Z', '2026-05-31T12:00:00.000Z'])
    const invoices = await stripe.invoices.list({ subscription: id })
    expect(invoices.data.map((invoice) => invoice.status)).toEqual(['paid', 'paid', 'paid', 'paid'])
    const far = stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: seconds('2026-12-31T12:00:00Z') })
    await expect(far).rejects.toMatchObject({ type: 'StripeInvalidRequestError' })
  })

  test.each(['canceled', 'unpaid', 'past_due'] as const)('retries end, and the subscription is %s', async (end) => {
    sandbox.world.state.settings.dunningEnd = end
    const { pro } = await prices()
    const customer = await seedCustomer(stripe)
    const { id } = await stripe.subscriptions.create({ customer, items: [{ price: pro }] })
    const portal = await stripe.billingPortal.sessions.create({ customer })
    sandbox.control.actAtPortal(portal.id, { act: 'card', card: 'declines' })
    sandbox.control.advanceClock(29 * DAY * 1_000)
    const late = await stripe.subscriptions.retrieve(id, { expand: ['latest_invoice'] })
    expect(late).toMatchObject({ status: 'past_due', latest_invoice: { status: 'open', attempt_count: 1 } })
    expect((late.latest_invoice as Stripe.Invoice).next_payment_attempt).toBeGreaterThan(sandbox.world.seconds())
    sandbox.control.advanceClock(16 * DAY * 1_000)
    expect((await stripe.subscriptions.retrieve(id)).status).toBe(end)
  })

  test('an undelivered invoice.created holds its draft back, an unpaid first invoice expires', async () => {
    sandbox.webhooks.endpoint = { url: 'http://127.0.0.1:9/nobody', secret: 'whsec_x' }
    sandbox.webhooks.knobs = { drop: () => true }
    const { pro } = await prices()
    const customer = await seedCustomer(stripe)
    const { id } = await stripe.subscriptions.create({ customer, items: [{ price: pro }] })
    const declining = await seedCustomer(stripe, 'declines')
    const unpaid = await stripe.subscriptions.create({ customer: declining, items: [{ price: pro }] })
    expect(unpaid.status).toBe('incomplete')
    sandbox.control.advanceClock(28 * DAY * 1_000 + 5 * 3_600_000)
    expect((await stripe.invoices.list({ subscription: id })).data[0]?.status).toBe('draft')
    sandbox.control.advanceClock(3 * DAY * 1_000)
    expect((await stripe.invoices.list({ subscription: id })).data[0]?.status).toBe('paid')
    expect((await stripe.subscriptions.retrieve(unpaid.id)).status).toBe('incomplete_expired')
  })

  test('a schedule changes the plan when its phase begins, before the cycle is invoiced', async () => {
    const { pro, enterprise } = await prices()
    const customer = await seedCustomer(stripe)
    const made = await stripe.subscriptions.create({ customer, items: [{ price: enterprise }] })
    const schedule = await stripe.subscriptionSchedules.create({ from_subscription: made.id })
    const [today] = schedule.phases
    await stripe.subscriptionSchedules.update(schedule.id, {
      end_behavior: 'release',
      phases: [
        { items: [{ price: enterprise }], start_date: today?.start_date, end_date: today?.end_date },
        { items: [{ price: pro }] },
      ],
    })
    sandbox.control.advanceClock(28 * DAY * 1_000 + 7_200_000)
    const after = await stripe.subscriptions.retrieve(made.id, { expand: ['latest_invoice'] })
    expect(after.items.data[0]?.price.id).toBe(pro)
    expect((after.latest_invoice as Stripe.Invoice).total).toBe(9_900)
    await stripe.subscriptionSchedules.release(schedule.id)
    expect((await stripe.subscriptionSchedules.retrieve(schedule.id)).status).toBe('released')
  })

  test('an upgrade awaits its payment, is applied by it, and expires without it', async () => {
    const { pro, enterprise } = await prices()
    const customer = await seedCustomer(stripe, 'declines')
    const upgrade = async () => {
      const trial = await stripe.subscriptions.create({ customer, items: [{ price: pro }], trial_period_days: 60 })
      const item = trial.items.data[0]?.id ?? ''
      const items = [{ id: item, price: enterprise }]
      const change = { items, payment_behavior: 'pending_if_incomplete', proration_behavior: 'always_invoice' } as const
      return stripe.subscriptions.update(trial.id, change)
    }
    const [paid, left] = [await upgrade(), await upgrade()]
    expect(paid.items.data[0]?.price.id).toBe(pro)
    await stripe.invoices.pay(paid.latest_invoice as string, { paid_out_of_band: true })
    expect((await stripe.subscriptions.retrieve(paid.id)).items.data[0]?.price.id).toBe(enterprise)
    sandbox.control.advanceClock(24 * 3_600_000)
    expect(await stripe.subscriptions.retrieve(left.id)).toMatchObject({ pending_update: null })
    expect(types()).toEqual(
      expect.arrayContaining([
        'customer.subscription.pending_update_applied',
        'customer.subscription.pending_update_expired',
      ]),
    )
  })

  test('paused collection keeps the status; a paused subscription says so, and resumes', async () => {
    const { pro } = await prices()
    const customer = await seedCustomer(stripe)
    const { id } = await stripe.subscriptions.create({ customer, items: [{ price: pro }] })
    await stripe.subscriptions.update(id, { pause_collection: { behavior: 'void' } })
    sandbox.control.advanceClock(29 * DAY * 1_000)
    expect(await stripe.subscriptions.retrieve(id, { expand: ['latest_invoice'] })).toMatchObject({
      status: 'active',
      latest_invoice: { status: 'void' },
    })
    expect(await stripe.subscriptions.pause(id, { type: 'subscription' })).toMatchObject({ status: 'paused' })
    expect(await stripe.subscriptions.resume(id)).toMatchObject({ status: 'active' })
    expect(types()).toEqual(expect.arrayContaining(['customer.subscription.paused', 'customer.subscription.resumed']))
  })
})
