import { describe, expect, test } from 'vitest'
import { WATCHED_TYPES } from '#app/domain/billing/internal/event-table.ts'
import { listReversals } from '#app/domain/billing/payment-queries.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { makeMember } from '#test/factories.ts'
import {
  customerWithKey,
  holdDeliveries,
  keysOf,
  letDeliveries,
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
  OCTOBER_USAGE,
  recordUsage,
  runRow,
  stripeInvoices,
  write,
} from './billing-world.ts'

const world = billingWorld()
webhookEndpoint(world)

async function invoiced(options: Parameters<typeof makeCustomer>[1] = {}) {
  const customer = await makeCustomer(world, options)
  await recordUsage(customer.workspaceId, OCTOBER_USAGE)
  const runId = await freezeOctober(customer)
  await write(customer, runId)
  await settle(world)
  return { customer, runId, invoiceId: (await runRow(customer, runId)).stripeInvoiceId ?? '' }
}

const alertOf = (kind: string, reference: string) =>
  inSystem((tx) => tx.alert.findUnique({ where: { kind_reference: { kind, reference } } }))
const noticesOf = async (customer: Customer): Promise<string[]> => {
  const open = { workspaceId: customer.workspaceId, dismissedAt: null }
  const rows = await inSystem((tx) => tx.notice.findMany({ where: open, select: { kind: true } }))
  return rows.map(({ kind }) => kind)
}
const reversalsOf = async (customer: Customer) =>
  inSystem((tx) => tx.stripeReversal.findMany({ where: { workspaceId: customer.workspaceId }, orderBy: { id: 'asc' } }))
const ledgerOf = async (customer: Customer) =>
  (
    await world.db.owner.query(
      `SELECT count(*)::int AS calls, sum(charge_pico)::text AS charged FROM metering.inference_calls WHERE workspace_id = $1`,
      [customer.workspaceId],
    )
  ).rows[0]

describe('what waits together is answered together', () => {
  test('an invoice.paid whose job a later invoice.updated replaced still brings the plan back', async () => {
    world.sandbox.world.state.settings.dunningEnd = 'unpaid'
    const customer = await makeCustomer(world)
    world.sandbox.control.overrideSubscription(customer.subscriptionId, { status: 'unpaid' })
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'plus' })
    // Only the invoice's own events come: the subscription's are lost.
    world.sandbox.webhooks.knobs = { drop: (event) => event.type.startsWith('customer.subscription') }
    const { latestInvoice } = world.sandbox.world.state.subscriptions[customer.subscriptionId] ?? {}
    const { invoices, subscriptions } = world.sandbox.world.state
    Object.assign(invoices[latestInvoice ?? ''] ?? {}, { status: 'open', paidAt: null, amountPaid: 0 })
    await world.stripe.invoices.pay(latestInvoice ?? '', { paid_out_of_band: true })
    expect(subscriptions[customer.subscriptionId]?.status).toBe('active')
    world.sandbox.control.overrideInvoice(latestInvoice ?? '', { metadata: { note: 'changed later' } })
    await world.sandbox.webhooks.settled()
    const { rows } = await world.db.owner.query(
      `SELECT count(*)::int AS jobs FROM graphile_worker._private_jobs WHERE key = $1`,
      [`stripe:${latestInvoice}`],
    )
    expect(rows).toEqual([{ jobs: 1 }])
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'active' })
    const events = await inSystem((tx) => tx.stripeEvent.findMany({ where: { objectId: latestInvoice ?? '' } }))
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['invoice.paid', 'invoice.updated']))
    expect(events.every(({ processedAt }) => processedAt !== null)).toBe(true)
    world.sandbox.world.state.settings.dunningEnd = 'canceled'
  })

  test('every type of the table is taken, answered and leaves plan and keys where Stripe has them, in any order', async () => {
    const { customer } = await customerWithKey(world)
    const invoice = world.sandbox.world.state.subscriptions[customer.subscriptionId]?.latestInvoice ?? ''
    holdDeliveries(world)
    for (const type of WATCHED_TYPES) {
      // Nothing of the payload is believed but whom it is about: not even that somebody was deleted.
      const id = type.startsWith('invoice.') ? invoice : `obj_${type.replaceAll('.', '_')}`
      const thing = { id, object: 'thing', customer: customer.customerId, status: 'canceled' }
      const object =
        type.startsWith('customer.') && !type.includes('subscription')
          ? { id: customer.customerId, object: 'customer' }
          : thing
      world.sandbox.control.sendEvent(type, object)
    }
    world.sandbox.webhooks.knobs = { reorderSeed: 7, copies: 2 }
    letDeliveries(world)
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', suspendedAt: null })
    expect(await keysOf(customer)).toEqual([{ enabled: true }])
    const stored = await inSystem((tx) => tx.stripeEvent.findMany({ where: { processedAt: { not: null } } }))
    const seen = new Set(stored.map(({ type }) => type))
    expect(WATCHED_TYPES.filter((type) => !seen.has(type))).toEqual([])
    expect(await inSystem((tx) => tx.stripeEvent.count({ where: { processedAt: null } }))).toBe(0)
  })
})

describe('tax', () => {
  const withTax = async (work: () => Promise<void>) => {
    world.db.configure({ STRIPE_TAX: 'automatic', STRIPE_TAX_CODE: 'txcd_10103001' })
    world.sandbox.world.state.settings.taxBasisPoints = 1_900
    try {
      await work()
    } finally {
      world.db.configure({ STRIPE_TAX: 'off', STRIPE_TAX_CODE: '' })
      world.sandbox.world.state.settings.taxBasisPoints = 0
    }
  }

  test('case 26: without a tax location the run is held_tax, the owner is told, and customer.updated lets it go on', () =>
    withTax(async () => {
      const customer = await makeCustomer(world)
      await recordUsage(customer.workspaceId, OCTOBER_USAGE)
      const runId = await freezeOctober(customer)
      expect(await write(customer, runId)).toBe('held')
      expect(await runRow(customer, runId)).toMatchObject({ state: 'held', heldReason: 'tax_location' })
      await settle(world)
      expect(await noticesOf(customer)).toContain('tax_location')
      // Another change of the customer does not make it go on: it is held again, not lost.
      await world.stripe.customers.update(customer.customerId, { name: 'Still without a place' })
      await settle(world)
      expect(await runRow(customer, runId)).toMatchObject({ state: 'held', heldReason: 'tax_location' })
      await world.stripe.customers.update(customer.customerId, { address: { country: 'DE' } })
      await settle(world)
      await expectOneInvoice(world, customer, runId)
      const [invoice] = stripeInvoices(world, customer)
      expect(await world.stripe.invoices.retrieve(invoice?.id ?? '')).toMatchObject({
        automatic_tax: { enabled: true, status: 'complete' },
        subtotal_excluding_tax: Number((await runRow(customer, runId)).totalCents),
      })
      expect(await noticesOf(customer)).not.toContain('tax_location')
    }))

  test('case 27: the rate that holds at finalisation wins, and only the subtotal without tax is compared', () =>
    withTax(async () => {
      const customer = await makeCustomer(world)
      await world.stripe.customers.update(customer.customerId, { address: { country: 'DE' } })
      await recordUsage(customer.workspaceId, OCTOBER_USAGE)
      const runId = await freezeOctober(customer)
      const fault = { when: 'before', effect: 'socket_close', times: 20 } as const
      world.sandbox.faults.add({ operation: 'invoices.finalizeInvoice', ...fault })
      await expect(write(customer, runId)).rejects.toThrow()
      world.sandbox.faults.clear()
      const [draft] = stripeInvoices(world, customer)
      const before = await world.stripe.invoices.retrieve(draft?.id ?? '')
      world.sandbox.world.state.settings.taxBasisPoints = 700
      const items = world.sandbox.journal.filter(
        ({ operation, params }) => operation === 'invoiceItems.create' && params.invoice === draft?.id,
      )
      expect(items).toHaveLength(3)
      for (const { params } of items)
        expect(params).toMatchObject({ tax_behavior: 'exclusive', tax_code: 'txcd_10103001' })
      expect(await write(customer, runId)).toBe('done')
      const after = await world.stripe.invoices.retrieve(draft?.id ?? '')
      expect(after.total).not.toBe(before.total)
      expect(after.subtotal_excluding_tax).toBe(before.subtotal_excluding_tax)
      expect(after.total).toBe(Math.round((after.subtotal_excluding_tax ?? 0) * 1.07))
      await settle(world)
      await expectOneInvoice(world, customer, runId)
    }))
})

describe('money that goes back', () => {
  test('case 28: a dispute and a refund are mirrored; usage, ledger and invoice stay; nothing is credited by itself', async () => {
    const { customer, runId, invoiceId } = await invoiced()
    const [ledger, run] = [await ledgerOf(customer), await runRow(customer, runId)]
    const dispute = world.sandbox.control.dispute(invoiceId)
    await settle(world)
    expect(await reversalsOf(customer)).toMatchObject([
      { id: dispute, kind: 'dispute', runId, stripeInvoiceId: invoiceId, status: 'needs_response' },
    ])
    expect(await alertOf('dispute_opened', dispute)).toMatchObject({ resolvedAt: null })
    world.sandbox.control.closeDispute(dispute, 'lost')
    const charge = Object.values(world.sandbox.world.state.charges).find((one) => one.invoice === invoiceId)
    await world.stripe.refunds.create({ charge: charge?.id ?? '', amount: 150 })
    await settle(world)
    await world.stripe.refunds.create({ charge: charge?.id ?? '', amount: 50 })
    await settle(world)
    expect((await reversalsOf(customer)).find((one) => one.kind === 'refund')).toMatchObject({
      id: charge?.id,
      runId,
      amountCents: 200n,
      status: 'partial',
    })
    expect((await reversalsOf(customer)).find((one) => one.kind === 'dispute')).toMatchObject({ status: 'lost' })
    expect((await alertOf('dispute_opened', dispute))?.resolvedAt).not.toBeNull()
    expect(await alertOf('dispute_lost', dispute)).toMatchObject({ resolvedAt: null })
    expect(await ledgerOf(customer)).toEqual(ledger)
    expect(await runRow(customer, runId)).toMatchObject({
      state: 'done',
      linesHash: run.linesHash,
      stripeStatus: 'paid',
    })
    expect(Object.values(world.sandbox.world.state.creditNotes)).toEqual([])
    const admin = await makeMember(customer.workspaceId, 'billing_admin')
    expect((await listReversals(admin)).map(({ kind }) => kind)).toEqual(['refund'])
  })

  test('a credit note made by hand is mirrored, announced, and voided with it', async () => {
    const { customer, runId, invoiceId } = await invoiced({ card: 'none' })
    const note = await world.stripe.creditNotes.create({ invoice: invoiceId, amount: 300, memo: 'Sorry' })
    await settle(world)
    expect(await reversalsOf(customer)).toMatchObject([
      { id: note.id, kind: 'credit_note', runId, number: note.number, amountCents: 300n, status: 'issued' },
    ])
    expect(await noticesOf(customer)).toContain('credit_note')
    await world.stripe.creditNotes.voidCreditNote(note.id)
    await settle(world)
    expect(await reversalsOf(customer)).toMatchObject([{ status: 'void' }])
  })

  test('case 25: no payment method: the invoice stays open, the workspace is told that the payment failed, plan and key stay', async () => {
    const { customer } = await customerWithKey(world)
    world.sandbox.world.state.customers[customer.customerId]!.defaultPaymentMethod = null
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const runId = await freezeOctober(customer)
    expect(await write(customer, runId)).toBe('done')
    await settle(world)
    expect(await runRow(customer, runId)).toMatchObject({ state: 'done', stripeStatus: 'open' })
    expect(await noticesOf(customer)).toContain('payment_failed')
    const state = await inSystem((tx) => tx.paymentState.findUnique({ where: { workspaceId: customer.workspaceId } }))
    expect(state).toMatchObject({ methodKind: null, owedCents: 2_074n })
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', subscriptionStatus: 'active' })
    expect(await keysOf(customer)).toEqual([{ enabled: true }])
  })

  test('case 29: paid out of band is paid, overpaid is flagged; nothing is collected a second time', async () => {
    const { customer, runId, invoiceId } = await invoiced({ card: 'none' })
    expect(await runRow(customer, runId)).toMatchObject({ stripeStatus: 'open' })
    await world.stripe.invoices.pay(invoiceId, { paid_out_of_band: true })
    world.sandbox.control.overpay(invoiceId, 500)
    await settle(world)
    expect(await runRow(customer, runId)).toMatchObject({ state: 'done', stripeStatus: 'paid' })
    expect(await alertOf('invoice_overpaid', runId)).toMatchObject({ resolvedAt: null })
    expect(await write(customer, runId)).toBe('done')
    world.sandbox.control.advanceClock(40 * 86_400_000)
    await settle(world)
    expect(stripeInvoices(world, customer)).toHaveLength(1)
    expect(Object.values(world.sandbox.world.state.charges).filter((one) => one.invoice === invoiceId)).toEqual([])
  })

  test('an invoice that is voided or written off in Stripe after it was issued is mirrored and told the operator', async () => {
    for (const act of ['voidInvoice', 'markUncollectible'] as const) {
      const { customer, runId, invoiceId } = await invoiced({ card: 'none' })
      await world.stripe.invoices[act](invoiceId)
      await settle(world)
      const stripeStatus = act === 'voidInvoice' ? 'void' : 'uncollectible'
      expect(await runRow(customer, runId)).toMatchObject({ state: 'done', stripeStatus })
      expect(await alertOf('invoice_given_up', runId)).toMatchObject({ resolvedAt: null })
    }
  })

  test('an invoice that needs a confirmation, or is overdue, is told until it is paid', async () => {
    const { customer, invoiceId } = await invoiced({ card: 'none' })
    const shown = { id: invoiceId, object: 'invoice', customer: customer.customerId }
    world.sandbox.control.sendEvent('invoice.payment_action_required', shown)
    world.sandbox.control.sendEvent('invoice.overdue', shown)
    await settle(world)
    expect(await noticesOf(customer)).toEqual(expect.arrayContaining(['payment_action', 'invoice_overdue']))
    await world.stripe.invoices.pay(invoiceId, { paid_out_of_band: true })
    await settle(world)
    for (const kind of ['payment_action', 'invoice_overdue', 'payment_failed'])
      expect(await noticesOf(customer)).not.toContain(kind)
  })
})
