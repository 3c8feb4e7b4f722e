import type Stripe from 'stripe'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sdkClient, seedCustomer, seedPrice } from './sdk-client.ts'
import { type StripeSandbox, startStripeSandbox } from './stripe-sandbox.ts'

const START = new Date('2026-01-31T12:00:00Z')
let sandbox: StripeSandbox
let stripe: Stripe
beforeEach(async () => {
  sandbox = await startStripeSandbox({ contract: 'strict', now: START })
  stripe = sdkClient(sandbox)
})
// Closing fails where any exchange or event differed from the contract.
afterEach(() => sandbox.close())

const types = () => Object.values(sandbox.world.state.events).map((event) => event.type)

describe('what undoes a payment', () => {
  async function paidInvoice(card: 'works' | 'none' = 'works') {
    const customer = await seedCustomer(stripe, card)
    const draft = await stripe.invoices.create({ customer, currency: 'usd', pending_invoice_items_behavior: 'exclude' })
    await stripe.invoiceItems.create({ customer, invoice: draft.id, amount: 1_000, currency: 'usd' })
    await stripe.invoices.finalizeInvoice(draft.id, { auto_advance: true })
    return { customer, invoice: draft.id }
  }

  test('the parts of a credit note add up to what was paid, and an open invoice is lessened first', async () => {
    const paid = await paidInvoice()
    const wrong = stripe.creditNotes.create({ invoice: paid.invoice, amount: 400, refund_amount: 300 })
    await expect(wrong).rejects.toMatchObject({ type: 'StripeInvalidRequestError' })
    const preview = await stripe.creditNotes.preview({ invoice: paid.invoice, amount: 400, credit_amount: 400 })
    expect(preview.post_payment_amount).toBe(400)
    const parts = { refund_amount: 300, credit_amount: 100 }
    const note = await stripe.creditNotes.create({ invoice: paid.invoice, amount: 400, ...parts })
    expect(note).toMatchObject({ type: 'post_payment', refunds: [{ amount_refunded: 300 }] })
    const [moved] = (await stripe.customers.listBalanceTransactions(paid.customer)).data
    expect(moved).toMatchObject({ amount: -100, type: 'credit_note', ending_balance: -100 })
    const open = await paidInvoice('none')
    const less = await stripe.creditNotes.create({ invoice: open.invoice, amount: 400 })
    expect(less.type).toBe('pre_payment')
    expect((await stripe.invoices.retrieve(open.invoice)).amount_remaining).toBe(600)
    await stripe.creditNotes.voidCreditNote(less.id)
    expect((await stripe.invoices.retrieve(open.invoice)).amount_remaining).toBe(1_000)
    expect((await stripe.creditNotes.list({ invoice: open.invoice })).data[0]?.status).toBe('void')
  })

  test('refunds and disputes name the charge, and its payment intent leads to the invoice', async () => {
    const { customer, invoice } = await paidInvoice()
    const [charge] = (await stripe.charges.list({ customer })).data
    const payment = { type: 'payment_intent' as const, payment_intent: charge?.payment_intent as string }
    expect((await stripe.invoicePayments.list({ payment })).data).toMatchObject([{ invoice, amount_paid: 1_000 }])
    await stripe.refunds.create({ charge: charge?.id, amount: 250 })
    expect(await stripe.charges.retrieve(charge?.id ?? '')).toMatchObject({ amount_refunded: 250, refunded: false })
    const dispute = sandbox.control.dispute(invoice)
    sandbox.control.closeDispute(dispute, 'lost')
    expect((await stripe.disputes.retrieve(dispute)).status).toBe('lost')
    expect(types()).toEqual(
      expect.arrayContaining(['charge.refunded', 'charge.dispute.created', 'charge.dispute.closed']),
    )
  })
})

describe('the account', () => {
  test('automatic tax is computed at the rate of the day of finalisation, and needs to know the place', async () => {
    const { settings } = sandbox.world.state
    settings.taxBasisPoints = 1_900
    const customer = await seedCustomer(stripe)
    const automatic_tax = { enabled: true }
    const draft = await stripe.invoices.create({ customer, currency: 'usd', automatic_tax })
    const item = { customer, invoice: draft.id, amount: 1_000, currency: 'usd' }
    await expect(stripe.invoiceItems.create(item)).rejects.toMatchObject({ param: 'tax_behavior' })
    await stripe.invoiceItems.create({ ...item, tax_behavior: 'exclusive' })
    await expect(stripe.invoices.finalizeInvoice(draft.id)).rejects.toMatchObject({
      code: 'customer_tax_location_invalid',
    })
    expect(types()).toContain('invoice.finalization_failed')
    const us = { address: { country: 'US' }, tax: { validate_location: 'immediately' as const } }
    await expect(stripe.customers.update(customer, us)).rejects.toMatchObject({ code: 'customer_tax_location_invalid' })
    await stripe.customers.update(customer, { address: { country: 'DE' } })
    expect((await stripe.invoices.retrieve(draft.id)).total).toBe(1_190)
    settings.taxBasisPoints = 2_000
    const final = await stripe.invoices.finalizeInvoice(draft.id)
    expect(final).toMatchObject({ subtotal_excluding_tax: 1_000, total: 1_200 })
    settings.taxBasisPoints = 500
    expect((await stripe.invoices.retrieve(draft.id)).total).toBe(1_200)
  })

  test('the search lags behind what was written', async () => {
    const customer = await seedCustomer(stripe)
    const metadata = { run_id: 'run-1' }
    await stripe.invoices.create({ customer, metadata, currency: 'usd' })
    const query = 'metadata["run_id"]:"run-1"'
    expect((await stripe.invoices.search({ query })).data).toEqual([])
    sandbox.control.advanceClock(61_000)
    expect((await stripe.invoices.search({ query })).data).toHaveLength(1)
  })

  test('the limits refuse the request after the last allowed, by operation, and store nothing', async () => {
    sandbox.world.state.settings.requestsPerSecond = 5
    const ask = (index: number) => stripe.customers.create({ name: `${index}` }, { idempotencyKey: `key-${index}` })
    const outcomes = await Promise.all(
      [1, 2, 3, 4, 5, 6, 7].map((index) =>
        ask(index).then(
          () => 200,
          (error: { statusCode: number }) => error.statusCode,
        ),
      ),
    )
    expect(outcomes.filter((status) => status === 429)).toHaveLength(2)
    expect(Object.keys(sandbox.world.state.customers)).toHaveLength(5)
    expect((await stripe.products.list()).data).toEqual([])
    expect(sandbox.limits.refused).toBe(2)
  })

  test('an endpoint made by API has its own secret, version and types; undelivered events can be listed', async () => {
    const made = await stripe.webhookEndpoints.create({
      url: 'http://127.0.0.1:9/nobody',
      enabled_events: ['customer.updated'],
      api_version: '2025-09-30.clover',
    })
    expect(made.secret).toMatch(/^whsec_/)
    expect(await stripe.webhookEndpoints.retrieve(made.id)).not.toHaveProperty('secret')
    sandbox.webhooks.knobs = { retries: 0, restMs: 60_000 }
    const customer = await seedCustomer(stripe)
    await stripe.customers.update(customer, { name: 'Changed' })
    await sandbox.webhooks.settled()
    expect(sandbox.webhooks.deliveries.map(({ type, endpoint }) => [type, endpoint])).toEqual([
      ['customer.updated', made.id],
    ])
    const waiting = await stripe.events.list({ delivery_success: false })
    expect(waiting.data.map((event) => event.type)).toEqual(['customer.updated'])
    await stripe.webhookEndpoints.update(made.id, { disabled: true })
    expect((await stripe.webhookEndpoints.list()).data).toMatchObject([{ status: 'disabled' }])
    await stripe.webhookEndpoints.del(made.id)
    expect((await stripe.webhookEndpoints.list()).data).toEqual([])
  })

  test('a customer’s balance moves by transactions that say why', async () => {
    const customer = await seedCustomer(stripe)
    await stripe.customers.createBalanceTransaction(customer, { amount: -500, currency: 'usd', description: 'Sorry' })
    expect((await stripe.customers.listBalanceTransactions(customer)).data).toMatchObject([
      { amount: -500, ending_balance: -500, type: 'adjustment', description: 'Sorry' },
    ])
  })

  test('lines are added in batches, a preview keeps nothing, and only an invoice that is to be sent is sent', async () => {
    const customer = await seedCustomer(stripe)
    const draft = await stripe.invoices.create({
      customer,
      currency: 'usd',
      collection_method: 'send_invoice',
      days_until_due: 30,
    })
    const lines = [
      { amount: 100, description: 'One' },
      { amount: 250, metadata: { line_key: 'two' } },
    ]
    expect(await stripe.invoices.addLines(draft.id, { lines })).toMatchObject({ total: 350 })
    await expect(stripe.invoices.sendInvoice(draft.id)).rejects.toMatchObject({ type: 'StripeInvalidRequestError' })
    await stripe.invoices.finalizeInvoice(draft.id)
    await stripe.invoices.sendInvoice(draft.id)
    expect(types()).toContain('invoice.sent')
    await expect(stripe.invoices.addLines(draft.id, { lines })).rejects.toMatchObject({ code: 'invoice_not_editable' })
    const { price } = await seedPrice(stripe, 'Pro', 9_900)
    const { id } = await stripe.subscriptions.create({ customer, items: [{ price }] })
    const before = Object.keys(sandbox.world.state.invoices).length
    expect((await stripe.invoices.createPreview({ subscription: id })).total).toBe(9_900)
    expect(Object.keys(sandbox.world.state.invoices)).toHaveLength(before)
  })
})
