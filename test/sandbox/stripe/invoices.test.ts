import type Stripe from 'stripe'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sdkClient, seedCustomer, seedPrice } from './sdk-client.ts'
import { type StripeSandbox, startStripeSandbox } from './stripe-sandbox.ts'

let sandbox: StripeSandbox
let stripe: Stripe

beforeEach(async () => {
  sandbox = await startStripeSandbox({ contract: 'strict' })
  stripe = sdkClient(sandbox)
})
afterEach(() => sandbox.close())

async function draft(customer: string, amounts: number[] = []): Promise<Stripe.Invoice> {
  const invoice = await stripe.invoices.create({
    customer,
    currency: 'usd',
    auto_advance: false,
    pending_invoice_items_behavior: 'exclude',
  })
  for (const amount of amounts) {
    await stripe.invoiceItems.create({
      customer,
      invoice: invoice.id,
      amount,
      currency: 'usd',
      description: `line of ${amount}`,
    })
  }
  return stripe.invoices.retrieve(invoice.id)
}

const eventTypes = () => Object.values(sandbox.world.state.events).map((event) => event.type)

describe('the invoice state machine', () => {
  test('draft → open assigns the number, and collecting pays it after the answer', async () => {
    const invoice = await draft(await seedCustomer(stripe), [1_000, 234])
    expect(invoice).toMatchObject({ status: 'draft', total: 1_234, number: null, livemode: false })
    const open = await stripe.invoices.finalizeInvoice(invoice.id, { auto_advance: true })
    expect(open).toMatchObject({ status: 'open', amount_due: 1_234 })
    expect(open.number).toMatch(/-0001$/)
    const paid = await stripe.invoices.retrieve(invoice.id)
    expect(paid).toMatchObject({ status: 'paid', amount_paid: 1_234, amount_remaining: 0 })
    expect(eventTypes()).toEqual(expect.arrayContaining(['invoice.created', 'invoice.finalized', 'invoice.paid']))
  })

  test('a declining card leaves it open and tells so', async () => {
    const invoice = await draft(await seedCustomer(stripe, 'declines'), [1_000])
    await stripe.invoices.finalizeInvoice(invoice.id, { auto_advance: true })
    expect(await stripe.invoices.retrieve(invoice.id)).toMatchObject({
      status: 'open',
      attempted: true,
      attempt_count: 1,
    })
    expect(eventTypes()).toContain('invoice.payment_failed')
    await expect(stripe.invoices.pay(invoice.id)).rejects.toMatchObject({
      type: 'StripeCardError',
      code: 'card_declined',
    })
    expect(await stripe.invoices.pay(invoice.id, { paid_out_of_band: true })).toMatchObject({ status: 'paid' })
  })

  test('without auto_advance nothing is collected', async () => {
    const invoice = await draft(await seedCustomer(stripe), [1_000])
    await stripe.invoices.finalizeInvoice(invoice.id)
    expect(await stripe.invoices.retrieve(invoice.id)).toMatchObject({ status: 'open', attempted: false })
  })

  test('zero is paid at once; less than the minimum is paid and owed on the next invoice', async () => {
    const customer = await seedCustomer(stripe)
    const zero = await draft(customer)
    expect(await stripe.invoices.finalizeInvoice(zero.id)).toMatchObject({ status: 'paid', amount_due: 0 })
    const small = await draft(customer, [49])
    expect(await stripe.invoices.finalizeInvoice(small.id)).toMatchObject({
      status: 'paid',
      amount_due: 0,
      ending_balance: 49,
    })
    const next = await draft(customer, [100])
    expect(await stripe.invoices.finalizeInvoice(next.id)).toMatchObject({
      status: 'open',
      amount_due: 149,
      total: 100,
    })
  })

  test('only drafts are edited or deleted; open ones are voided or written off', async () => {
    const customer = await seedCustomer(stripe, 'none')
    const invoice = await draft(customer, [1_000])
    await stripe.invoices.finalizeInvoice(invoice.id)
    const late = stripe.invoiceItems.create({ customer, invoice: invoice.id, amount: 5, currency: 'usd' })
    await expect(late).rejects.toMatchObject({ code: 'invoice_not_editable', statusCode: 400 })
    await expect(stripe.invoices.finalizeInvoice(invoice.id)).rejects.toMatchObject({ code: 'invoice_not_editable' })
    await expect(stripe.invoices.del(invoice.id)).rejects.toMatchObject({ code: 'invoice_not_editable' })
    expect(await stripe.invoices.markUncollectible(invoice.id)).toMatchObject({ status: 'uncollectible' })
    expect(await stripe.invoices.voidInvoice(invoice.id)).toMatchObject({ status: 'void' })
    await expect(stripe.invoices.pay(invoice.id)).rejects.toMatchObject({ code: 'invoice_not_editable' })
  })

  test('deleting a draft makes its items pending: they wait for the next invoice that asks for them', async () => {
    const customer = await seedCustomer(stripe)
    const invoice = await draft(customer, [70])
    expect(await stripe.invoices.del(invoice.id)).toMatchObject({ deleted: true })
    const excluding = await draft(customer)
    expect(excluding.total).toBe(0)
    const including = await stripe.invoices.create({
      customer,
      currency: 'usd',
      pending_invoice_items_behavior: 'include',
    })
    expect(including.total).toBe(70)
  })

  test('`subscription` together with `pending_invoice_items_behavior` is refused', async () => {
    const customer = await seedCustomer(stripe)
    const both = stripe.invoices.create({ customer, subscription: 'sub_1', pending_invoice_items_behavior: 'exclude' })
    await expect(both).rejects.toMatchObject({ statusCode: 400 })
  })

  test('holds 250 items and not one more, and pages them ten at a time unless asked', async () => {
    const customer = await seedCustomer(stripe)
    const invoice = await draft(
      customer,
      Array.from({ length: 250 }, (_, index) => index + 1),
    )
    const more = stripe.invoiceItems.create({ customer, invoice: invoice.id, amount: 1, currency: 'usd' })
    await expect(more).rejects.toMatchObject({ statusCode: 400 })
    expect(invoice.lines.data).toHaveLength(10)
    expect(invoice.lines.has_more).toBe(true)
    const first = await stripe.invoices.listLineItems(invoice.id)
    expect(first.data.map((line) => line.amount)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    const all: number[] = []
    for await (const line of stripe.invoices.listLineItems(invoice.id, { limit: 100 })) all.push(line.amount)
    expect(all.reduce((sum, amount) => sum + amount, 0)).toBe((250 * 251) / 2)
  })

  test('automatic tax without a location fails the finalisation and leaves a draft', async () => {
    const customer = await seedCustomer(stripe)
    const invoice = await stripe.invoices.create({ customer, currency: 'usd', automatic_tax: { enabled: true } })
    await stripe.invoiceItems.create({
      customer,
      invoice: invoice.id,
      tax_behavior: 'exclusive',
      amount: 900,
      currency: 'usd',
    })
    await expect(stripe.invoices.finalizeInvoice(invoice.id)).rejects.toMatchObject({
      code: 'customer_tax_location_invalid',
    })
    expect(eventTypes()).toContain('invoice.finalization_failed')
    await stripe.customers.update(customer, { address: { country: 'US', postal_code: '10001' } })
    expect(await stripe.invoices.finalizeInvoice(invoice.id)).toMatchObject({ status: 'open' })
  })

  test('shows a page for people at hosted_invoice_url, with everything escaped', async () => {
    const customer = await seedCustomer(stripe)
    const invoice = await draft(customer)
    await stripe.invoiceItems.create({
      customer,
      invoice: invoice.id,
      amount: 5_005,
      currency: 'usd',
      description: '<b>margin</b>',
    })
    const { hosted_invoice_url: url } = await stripe.invoices.finalizeInvoice(invoice.id)
    const html = await (await fetch(url ?? '')).text()
    expect(html).toContain('&lt;b&gt;margin&lt;/b&gt;')
    expect(html).toContain('50.05 USD')
  })
})

describe('lists', () => {
  test('are newest first, ten by default, and walk both ways', async () => {
    const customer = await seedCustomer(stripe)
    const ids: string[] = []
    for (let i = 0; i < 12; i++) ids.unshift((await draft(customer)).id)
    const first = await stripe.invoices.list({ customer })
    expect(first.data.map((invoice) => invoice.id)).toEqual(ids.slice(0, 10))
    expect(first.has_more).toBe(true)
    const rest = await stripe.invoices.list({ customer, starting_after: ids[9] })
    expect(rest.data.map((invoice) => invoice.id)).toEqual(ids.slice(10))
    expect(rest.has_more).toBe(false)
    const back = await stripe.invoices.list({ customer, ending_before: ids[10], limit: 4 })
    expect(back.data.map((invoice) => invoice.id)).toEqual(ids.slice(6, 10))
  })

  test('filter by creation time and by customer', async () => {
    const [one, two] = [await seedCustomer(stripe), await seedCustomer(stripe)]
    await draft(one)
    sandbox.control.advanceClock(3_600_000)
    const later = await draft(one)
    await draft(two)
    const found = await stripe.invoices.list({ customer: one, created: { gte: later.created - 60 } })
    expect(found.data.map((invoice) => invoice.id)).toEqual([later.id])
  })
})

describe('subscriptions', () => {
  test('start active when the card works, incomplete when it does not, with an invoice of their own', async () => {
    const { price } = await seedPrice(stripe, 'Enterprise', 50_000)
    const good = await stripe.subscriptions.create({ customer: await seedCustomer(stripe), items: [{ price }] })
    expect(good.status).toBe('active')
    expect(await stripe.invoices.retrieve(String(good.latest_invoice))).toMatchObject({ status: 'paid', total: 50_000 })
    const bad = await stripe.subscriptions.create({
      customer: await seedCustomer(stripe, 'declines'),
      items: [{ price }],
    })
    expect(bad.status).toBe('incomplete')
  })

  test('change plan at once, end at period end only later, and end for good on cancel', async () => {
    const enterprise = await seedPrice(stripe, 'Enterprise', 50_000)
    const pro = await seedPrice(stripe, 'Pro', 2_000)
    const customer = await seedCustomer(stripe)
    const created = await stripe.subscriptions.create({ customer, items: [{ price: enterprise.price }] })
    const [item] = created.items.data
    const ending = await stripe.subscriptions.update(created.id, { cancel_at_period_end: true })
    expect(ending).toMatchObject({ status: 'active', cancel_at_period_end: true, ended_at: null })
    expect(ending.canceled_at).not.toBeNull()
    const moved = await stripe.subscriptions.update(created.id, { items: [{ id: item?.id, price: pro.price }] })
    expect(moved.items.data[0]?.price.product).toBe(pro.product)
    const ended = await stripe.subscriptions.cancel(created.id)
    expect(ended.status).toBe('canceled')
    expect((await stripe.subscriptions.list({ customer })).data).toHaveLength(0)
    expect((await stripe.subscriptions.list({ customer, status: 'all' })).data).toHaveLength(1)
  })

  test('take any status through the control API and send the event that goes with it', async () => {
    const { price } = await seedPrice(stripe, 'Enterprise', 50_000)
    const { id } = await stripe.subscriptions.create({ customer: await seedCustomer(stripe), items: [{ price }] })
    for (const status of ['past_due', 'unpaid', 'paused', 'active', 'incomplete'] as const) {
      sandbox.control.overrideSubscription(id, { status })
      expect((await stripe.subscriptions.retrieve(id)).status).toBe(status)
    }
    expect(eventTypes()).toEqual(
      expect.arrayContaining(['customer.subscription.paused', 'customer.subscription.resumed']),
    )
  })

  test('end with their customer', async () => {
    const { price } = await seedPrice(stripe, 'Enterprise', 50_000)
    const customer = await seedCustomer(stripe)
    const { id } = await stripe.subscriptions.create({ customer, items: [{ price }] })
    expect(await stripe.customers.del(customer)).toMatchObject({ deleted: true })
    expect(await stripe.customers.retrieve(customer)).toMatchObject({ deleted: true })
    expect((await stripe.subscriptions.retrieve(id)).status).toBe('canceled')
    await expect(stripe.invoices.create({ customer })).rejects.toMatchObject({ code: 'resource_missing' })
  })

  test('expand what they refer to', async () => {
    const { price, product } = await seedPrice(stripe, 'Enterprise', 50_000)
    const { id } = await stripe.subscriptions.create({ customer: await seedCustomer(stripe), items: [{ price }] })
    const expanded = await stripe.subscriptions.retrieve(id, { expand: ['items.data.price.product', 'customer'] })
    expect(expanded.items.data[0]?.price.product).toMatchObject({ id: product, object: 'product' })
    expect(expanded.customer).toMatchObject({ object: 'customer' })
  })
})
