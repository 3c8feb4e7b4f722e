/** What is left with the customer that a workspace had before, and what becomes of it. */
import { describe, expect, test } from 'vitest'
import { compareWorkspace } from '#app/domain/billing/compare-stripe.server.ts'
import { endWorkspace } from '#app/domain/billing/end-workspace.server.ts'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { resolveInvoiceRun } from '#app/domain/billing/release-invoice-run.server.ts'
import { startTopUp } from '#app/domain/billing/start-checkout.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { purseOf } from '#test/credit-ground.ts'
import { makeMember } from '#test/factories.ts'
import { customerWithKey, keysOf, settle, webhookEndpoint, workspaceOf } from './billing-endpoint.ts'
import {
  billingWorld,
  CLOSE_TIME,
  type Customer,
  freezeOctober,
  makeCustomer,
  NOVEMBER,
  OCTOBER_USAGE,
  recordUsage,
  runRow,
  stripeInvoices,
  write,
} from './billing-world.ts'
import { another, billed, operator, relink, slugOf } from './relink-ground.ts'

const world = billingWorld()
webhookEndpoint(world)
const differencesOf = ({ workspaceId }: Customer) =>
  inSystem((tx) => tx.reconciliationDifference.findMany({ where: { workspaceId, resolvedAt: null } }))

describe('what is left with the customer of before', () => {
  test('a page where a plan could still be bought for it is closed, and what it goes on paying for is said', async () => {
    const customer = await makeCustomer(world, { plan: 'pro' })
    await inSystem((tx) =>
      tx.workspace.update({ where: { id: customer.workspaceId }, data: { subscriptionStatus: 'canceled' } }),
    )
    const price = world.prices.enterprise
    const metadata = { workspace_id: customer.workspaceId, purpose: 'plan', plan_id: 'enterprise' }
    const session = await world.stripe.checkout.sessions.create({
      ...{ customer: customer.customerId, mode: 'subscription', line_items: [{ price, quantity: 1 }], metadata },
      success_url: 'https://keymargin.example/paid',
    })
    expect(await relink(customer, await another(world))).toMatchObject({
      from: { id: customer.customerId, subscriptions: [{ id: customer.subscriptionId, status: 'active' }] },
    })
    expect(await world.stripe.checkout.sessions.retrieve(session.id)).toMatchObject({ status: 'expired' })
    await settle(world)
  })

  test('a second invoice that is made there, and a payment of an invoice there, are still seen', async () => {
    const { customer, runId } = await billed(world, { card: false })
    const [ours] = stripeInvoices(world, customer)
    expect(ours?.status).toBe('open')
    await relink(customer, await another(world))
    await world.stripe.invoices.pay(ours?.id ?? '', { paid_out_of_band: true })
    await settle(world)
    expect(await runRow(customer, runId)).toMatchObject({ stripeStatus: 'paid' })
    const { metadata } = await world.stripe.invoices.retrieve(ours?.id ?? '')
    const { customerId } = customer
    const copy = await world.stripe.invoices.create({ customer: customerId, currency: 'usd', metadata: metadata ?? {} })
    await compareWorkspace(customer.workspaceId, CLOSE_TIME)
    expect(await differencesOf(customer)).toMatchObject([{ kind: 'second_invoice', reference: copy.id }])
    await settle(world)
  })
  test('one that the key does not know keeps nobody from being compared', async () => {
    const { customer, runId } = await billed(world)
    await inSystem((tx) =>
      tx.workspace.update({ where: { id: customer.workspaceId }, data: { stripeCustomerId: 'cus_of_another_mode' } }),
    )
    const next = await another(world)
    expect(await relink(customer, next)).toMatchObject({ from: { state: 'unknown' } })
    expect(await runRow(customer, runId)).toMatchObject({ stripeCustomerId: 'cus_of_another_mode' })
    await recordUsage(customer.workspaceId, [{ at: '2026-11-20T00:00:00.000Z', tierPrice: '5', raw: '1' }])
    const december = new Date('2026-12-03T02:00:00Z')
    const november = await freezeInvoiceRun({ workspaceId: customer.workspaceId, month: NOVEMBER, now: december })
    expect(await write(customer, november?.runId ?? '')).toBe('done')
    expect(await compareWorkspace(customer.workspaceId, december)).toMatchObject({ runs: 2 })
    await settle(world)
  })

  test('a run that was begun there is billed to the new one when that customer is deleted afterwards', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const runId = await freezeOctober(customer)
    const away = { operation: 'invoices.create', times: 20, when: 'before', effect: 'socket_close' } as const
    world.sandbox.faults.add(away)
    await expect(write(customer, runId)).rejects.toThrow()
    world.sandbox.faults.clear()
    const next = await another(world)
    await relink(customer, next)
    await world.stripe.customers.del(customer.customerId)
    await settle(world)
    expect(await write(customer, runId)).toBe('uncollectable')
    await resolveInvoiceRun(operator, { workspaceId: customer.workspaceId, runId, resolution: 'resume' })
    await settle(world)
    expect(await runRow(customer, runId)).toMatchObject({ state: 'done', stripeCustomerId: null })
    expect(stripeInvoices(world, { ...customer, customerId: next })).toMatchObject([{ runId }])
  })
})

describe('events of a customer of before, to whom nothing was ever billed', () => {
  const alertsOf = (reference: string) =>
    inSystem((tx) => tx.alert.count({ where: { kind: 'stripe_unknown_customer', reference } }))

  test('find their workspace: a paid top-up is granted, a deletion takes no plan and no key, and nobody is alarmed', async () => {
    const { customer } = await customerWithKey(world)
    const metadata = { workspace_id: customer.workspaceId, purpose: 'top_up', amount_cents: '2500' }
    const product_data = { name: 'Credits for AI usage' }
    const item = { price_data: { currency: 'usd', unit_amount: 2_500, product_data }, quantity: 1 }
    const session = await world.stripe.checkout.sessions.create({
      ...{ customer: customer.customerId, mode: 'payment', line_items: [item], metadata },
      success_url: 'https://keymargin.example/paid',
    })
    const next = await another(world)
    await relink(customer, next)
    world.sandbox.control.payCheckout(session.id, 'card')
    await settle(world)
    expect(await purseOf(world.db, customer.workspaceId)).toMatchObject({ available: 25_000_000_000_000n })
    await world.stripe.customers.del(customer.customerId)
    await settle(world)
    expect(await workspaceOf(customer)).toMatchObject({
      stripeCustomerId: next,
      planId: 'enterprise',
      suspendedAt: null,
    })
    expect(await keysOf(customer)).toEqual([{ enabled: true }])
    expect(await alertsOf(customer.customerId)).toBe(0)
    const outcomes = await inSystem((tx) => tx.stripeEvent.findMany({ where: { customerId: customer.customerId } }))
    expect(outcomes.filter(({ outcome }) => outcome === 'unknown_customer')).toEqual([])
  })

  test('an overdue invoice of the vendor’s own, which the workspace never got here, is told to none of its people', async () => {
    const customer = await makeCustomer(world)
    const next = await another(world)
    const overdue = async (of: string) => {
      const made = await world.stripe.invoices.create({ customer: of, currency: 'usd' })
      await world.stripe.invoiceItems.create({ customer: of, invoice: made.id, amount: 500, currency: 'usd' })
      await world.stripe.invoices.finalizeInvoice(made.id, { auto_advance: false })
      world.sandbox.control.sendEvent('invoice.overdue', { id: made.id, object: 'invoice', customer: of })
      await settle(world)
    }
    const told = () => inSystem((tx) => tx.notice.count({ where: { workspaceId: customer.workspaceId } }))
    await relink(customer, next)
    await overdue(customer.customerId)
    expect(await told()).toBe(0)
    await overdue(next)
    expect(await told()).toBe(1)
  })

  // Paid after the end, it granted credits that nobody can use any more.
  test('a top-up page that was opened for it cannot be paid once the workspace has ended', async () => {
    const customer = await makeCustomer(world)
    const owner = await makeMember(customer.workspaceId, 'owner')
    const session = new URL(await startTopUp(owner, { amountCents: 2_500 })).pathname.split('/').at(-1) ?? ''
    await relink(customer, await another(world))
    await endWorkspace(operator, customer)
    expect((await world.stripe.checkout.sessions.retrieve(session)).status).toBe('expired')
    await settle(world)
  })
})

describe('a customer that was linked to the wrong workspace', () => {
  const hand = (to: Customer, id: string) =>
    inSystem(
      (tx) => tx.$executeRaw`UPDATE stripe_customers SET workspace_id = ${to.workspaceId}::uuid WHERE id = ${id}`,
    )
  const auditOf = ({ workspaceId }: Customer, action: string) =>
    inSystem((tx) => tx.auditEvent.findMany({ where: { workspaceId, action } }))

  // It stayed with the wrong one for good: the right one could never be linked to its own customer.
  test('goes to the right one once it is linked back, with its plan, its events and an entry in both audit trails', async () => {
    const { customer: wrong } = await customerWithKey(world)
    const right = await makeCustomer(world, { plan: 'pro' })
    const theirs = await another(world)
    await relink(wrong, theirs)
    const owner = await makeMember(wrong.workspaceId, 'owner')
    const page = new URL(await startTopUp(owner, { amountCents: 2_500 })).pathname.split('/').at(-1) ?? ''
    const taken = { code: 'customer_taken', message: expect.stringContaining(await slugOf(wrong)) }
    await expect(relink(right, theirs)).rejects.toMatchObject(taken)
    await expect(hand(right, theirs)).rejects.toThrow(/stays with its workspace/)
    await relink(wrong, wrong.customerId)

    const takenFrom = { workspaceId: wrong.workspaceId, slug: await slugOf(wrong) }
    expect(await relink(right, theirs)).toMatchObject({ takenFrom, outcome: 'plan_enterprise' })
    expect(await workspaceOf(right)).toMatchObject({ stripeCustomerId: theirs, planId: 'enterprise' })
    expect(await auditOf(wrong, 'workspace.customer_released')).toMatchObject([
      { actorKind: 'operator', detail: { customer: theirs } },
    ])
    expect(await auditOf(right, 'workspace.customer_linked')).toMatchObject([
      { detail: { customer: theirs, before: right.customerId } },
    ])
    // Nobody of the wrong one can pay there any more.
    expect(await world.stripe.checkout.sessions.retrieve(page)).toMatchObject({ status: 'expired' })
    await settle(world)

    const [paid] = (await world.stripe.subscriptions.list({ customer: theirs })).data
    await world.stripe.subscriptions.cancel(paid?.id ?? '')
    await settle(world)
    expect((await workspaceOf(right)).planId).not.toBe('enterprise')
    expect(await workspaceOf(wrong)).toMatchObject({ stripeCustomerId: wrong.customerId, planId: 'enterprise' })
    expect(await keysOf(wrong)).toEqual([{ enabled: true }])
    // Its first workspace is another's now, and is not taken unless that one lets go of it.
    await expect(relink(wrong, theirs)).rejects.toMatchObject({ code: 'customer_taken' })
    await settle(world)
  })

  test('stays with a workspace that was billed there, and the database holds to it', async () => {
    const { customer: wrong } = await customerWithKey(world)
    const right = await makeCustomer(world)
    const theirs = await another(world)
    await relink(wrong, theirs)
    await recordUsage(wrong.workspaceId, OCTOBER_USAGE)
    expect(await write(wrong, await freezeOctober(wrong))).toBe('done')
    await relink(wrong, wrong.customerId)
    await expect(relink(right, theirs)).rejects.toMatchObject({ code: 'customer_taken' })
    await expect(hand(right, theirs)).rejects.toThrow(/stays with its workspace/)
    await expect(world.db.owner.query('DELETE FROM stripe_customers')).rejects.toThrow(/append-only/)
    const data = { stripeCustomerId: theirs }
    await expect(inSystem((tx) => tx.workspace.update({ where: { id: right.workspaceId }, data }))).rejects.toThrow(
      /constraint/i,
    )
    expect(await workspaceOf(right)).toMatchObject({ stripeCustomerId: right.customerId })
    await settle(world)
  })

  test('stays with one whose people paid there, and with one whose plan follows its subscription', async () => {
    const [wrong, right] = [await makeCustomer(world), await makeCustomer(world)]
    const paidAt = await another(world)
    await relink(wrong, paidAt)
    const owner = await makeMember(wrong.workspaceId, 'owner')
    const page = new URL(await startTopUp(owner, { amountCents: 2_500 })).pathname.split('/').at(-1) ?? ''
    world.sandbox.control.payCheckout(page, 'card')
    await settle(world)
    await relink(wrong, wrong.customerId)
    await expect(relink(right, paidAt)).rejects.toMatchObject({
      code: 'customer_taken',
      message: expect.stringContaining('Checkout'),
    })

    const followed = await another(world)
    await relink(wrong, followed)
    const { stripeSubscriptionId } = await workspaceOf(wrong)
    await relink(wrong, wrong.customerId)
    // As when Stripe could not be asked after it was linked back.
    await inSystem((tx) => tx.workspace.update({ where: { id: wrong.workspaceId }, data: { stripeSubscriptionId } }))
    await expect(relink(right, followed)).rejects.toMatchObject({
      code: 'customer_taken',
      message: expect.stringContaining(stripeSubscriptionId ?? 'a subscription'),
    })
    expect(await workspaceOf(right)).toMatchObject({ stripeCustomerId: right.customerId })
    await settle(world)
  })

  // After a restore the books may not know what was billed there: taken over, it would not be found any more, and be billed again.
  test('stays with one that Stripe holds an invoice of there, though the books do not know it', async () => {
    const [wrong, right] = [await makeCustomer(world), await makeCustomer(world)]
    const billedAt = await another(world)
    await relink(wrong, billedAt)
    await relink(wrong, wrong.customerId)
    const metadata = { workspace_id: wrong.workspaceId, run_id: 'unknown', period: '2026-10' }
    const invoice = await world.stripe.invoices.create({ customer: billedAt, currency: 'usd', metadata })
    await expect(relink(right, billedAt)).rejects.toMatchObject({
      code: 'customer_taken',
      message: expect.stringContaining(invoice.id ?? 'an invoice'),
    })
    await world.stripe.invoices.del(invoice.id ?? '')
    await settle(world)
    expect(await relink(right, billedAt)).toMatchObject({ outcome: 'plan_enterprise' })
    await settle(world)
  })
})
