import { describe, expect, test } from 'vitest'
import { releaseInvoiceRun } from '#app/domain/billing/release-invoice-run.server.ts'
import { syncStripeObject } from '#app/domain/billing/sync-stripe-object.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'
import {
  billingWorld,
  CLOSE_TIME,
  type Customer,
  clock,
  expectOneInvoice,
  freezeOctober,
  makeCustomer,
  OCTOBER_USAGE,
  pendingItems,
  recordUsage,
  runRow,
  stripeInvoices,
  write,
} from './billing-world.ts'

const world = billingWorld()
const operator: OperatorCtx = {
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: clock,
  requestId: 'flow',
}

async function frozen(
  options: Parameters<typeof makeCustomer>[1] = {},
): Promise<{ customer: Customer; runId: string }> {
  const customer = await makeCustomer(world, options)
  await recordUsage(customer.workspaceId, OCTOBER_USAGE)
  return { customer, runId: await freezeOctober(customer) }
}

describe('a run is held, with its reason, rather than guessed at', () => {
  test('case 13: other parameters under a used key: the frozen lines changed, so the run is held and not tried again', async () => {
    const { customer, runId } = await frozen()
    const strange = { customer: customer.customerId, currency: 'usd' }
    await world.stripe.invoices.create(strange, { idempotencyKey: `keymargin:${runId}:1:0` })
    const creates = () =>
      world.sandbox.journal.filter(
        ({ operation, params }) =>
          operation === 'invoices.create' && (params.metadata as { run_id?: string } | undefined)?.run_id === runId,
      )
    expect(await write(customer, runId)).toBe('held')
    expect(creates()).toHaveLength(1)
    expect(await runRow(customer, runId)).toMatchObject({ state: 'held', heldReason: 'idempotency_mismatch' })
    const alert = { kind: 'invoice_run_held', reference: runId, resolvedAt: null }
    expect(await inSystem((tx) => tx.alert.count({ where: alert }))).toBe(1)
    const from = world.sandbox.journal.length
    expect(await write(customer, runId)).toBe('held')
    expect(world.sandbox.journal).toHaveLength(from)
  })

  test('case 18: a line edited in the Dashboard before finalise is found by the compare: held, not finalised', async () => {
    const { customer, runId } = await frozen()
    world.sandbox.faults.add({
      operation: 'invoices.finalizeInvoice',
      times: 20,
      when: 'before',
      effect: 'socket_close',
    })
    await expect(write(customer, runId)).rejects.toThrow()
    world.sandbox.faults.clear()
    const { stripeInvoiceId, lines } = await runRow(customer, runId)
    const item = lines.find((line) => line.stripeItemId)?.stripeItemId ?? ''
    await world.stripe.invoiceItems.update(item, { amount: 1 })
    expect(await write(customer, runId)).toBe('held')
    expect(await runRow(customer, runId)).toMatchObject({ heldReason: 'lines_differ' })
    expect((await world.stripe.invoices.retrieve(stripeInvoiceId ?? '')).status).toBe('draft')
    await world.stripe.invoiceItems.update(item, {
      amount: Number(lines.find((line) => line.stripeItemId === item)?.amountCents),
    })
    await releaseInvoiceRun(operator, { workspaceId: customer.workspaceId, runId })
    expect(await write(customer, runId)).toBe('done')
    await expectOneInvoice(world, customer, runId)
  })

  test('case 16: finalised in the Dashboard while lines were missing: held, the rest is for a human', async () => {
    const { customer, runId } = await frozen()
    world.sandbox.faults.add({
      operation: 'invoiceItems.create',
      nth: 2,
      times: 20,
      when: 'before',
      effect: 'server_error',
    })
    await expect(write(customer, runId)).rejects.toThrow()
    world.sandbox.faults.clear()
    const [invoice] = stripeInvoices(world, customer)
    await world.stripe.invoices.finalizeInvoice(invoice?.id ?? '')
    expect(await write(customer, runId)).toBe('held')
    expect(await runRow(customer, runId)).toMatchObject({ heldReason: 'not_editable' })
  })

  test('case 17: a draft deleted in the Dashboard: held; releasing re-issues the same lines as a new revision', async () => {
    const { customer, runId } = await frozen()
    world.sandbox.faults.add({
      operation: 'invoices.finalizeInvoice',
      times: 20,
      when: 'before',
      effect: 'socket_close',
    })
    await expect(write(customer, runId)).rejects.toThrow()
    world.sandbox.faults.clear()
    await world.stripe.invoices.del(stripeInvoices(world, customer)[0]?.id ?? '')
    for (const item of pendingItems(world)) await world.stripe.invoiceItems.del(item.id)
    expect(await write(customer, runId)).toBe('held')
    expect(await runRow(customer, runId)).toMatchObject({ heldReason: 'invoice_missing' })
    const next = await releaseInvoiceRun(operator, { workspaceId: customer.workspaceId, runId })
    expect(next.runId).not.toBe(runId)
    expect(await write(customer, next.runId)).toBe('done')
    await expectOneInvoice(world, customer, next.runId)
    const [old, revision] = [await runRow(customer, runId), await runRow(customer, next.runId)]
    expect(old.state).toBe('superseded')
    expect(revision).toMatchObject({ revision: 2, linesHash: old.linesHash })
  })

  test('case 23: another currency on the customer, or no customer at all: held at the close, nothing is written', async () => {
    const { customer, runId } = await frozen()
    world.sandbox.world.state.customers[customer.customerId]!.currency = 'eur'
    expect(await write(customer, runId)).toBe('held')
    expect(await runRow(customer, runId)).toMatchObject({ heldReason: 'currency_mismatch' })
    expect(stripeInvoices(world, customer)).toEqual([])
    const alone = await frozen()
    await inSystem((tx) =>
      tx.workspace.update({ where: { id: alone.customer.workspaceId }, data: { stripeCustomerId: null } }),
    )
    expect(await write(alone.customer, alone.runId)).toBe('held')
    expect(await runRow(alone.customer, alone.runId)).toMatchObject({ heldReason: 'no_customer' })
  })

  test('a deleted customer is found by the writer too: uncollectable, and never made anew', async () => {
    const { customer, runId } = await frozen()
    const customers = Object.keys(world.sandbox.world.state.customers).length
    await world.stripe.customers.del(customer.customerId)
    expect(await write(customer, runId)).toBe('uncollectable')
    expect(Object.keys(world.sandbox.world.state.customers)).toHaveLength(customers)
    expect(await runRow(customer, runId)).toMatchObject({ state: 'uncollectable', heldReason: 'customer_deleted' })
  })

  test('case 25: no payment method: the invoice is open, payment_failed is told, and the plan stays', async () => {
    const { customer, runId } = await frozen({ card: 'none' })
    expect(await write(customer, runId)).toBe('done')
    const [open] = stripeInvoices(world, customer)
    expect(open?.status).toBe('open')
    const told = Object.values(world.sandbox.world.state.events).filter(({ data }) => data.object.id === open?.id)
    expect(told.map(({ type }) => type)).toContain('invoice.payment_failed')
    const workspace = await inSystem((tx) => tx.workspace.findUniqueOrThrow({ where: { id: customer.workspaceId } }))
    expect(workspace.planId).toBe('enterprise')
  })

  test('tax that is switched on in the Dashboard without a location holds the run until the customer is updated', async () => {
    const { customer, runId } = await frozen()
    world.sandbox.faults.add({
      operation: 'invoices.finalizeInvoice',
      times: 20,
      when: 'before',
      effect: 'socket_close',
    })
    await expect(write(customer, runId)).rejects.toThrow()
    world.sandbox.faults.clear()
    const [invoice] = stripeInvoices(world, customer)
    await world.stripe.invoices.update(invoice?.id ?? '', { automatic_tax: { enabled: true } })
    expect(await write(customer, runId)).toBe('held')
    expect(await runRow(customer, runId)).toMatchObject({ heldReason: 'tax_location' })
    await world.stripe.customers.update(customer.customerId, { address: { country: 'DE' } })
    const event = {
      id: 'evt_tax_1',
      type: 'customer.updated',
      objectId: customer.customerId,
      customerId: customer.customerId,
    }
    await inSystem((tx) =>
      tx.stripeEvent.create({ data: { ...event, createdAt: CLOSE_TIME, receivedAt: CLOSE_TIME, livemode: false } }),
    )
    await syncStripeObject({ eventId: 'evt_tax_1' }, CLOSE_TIME)
    expect(await write(customer, runId)).toBe('done')
    await expectOneInvoice(world, customer, runId)
  })

  test('only operators release, only what is held, and every hold raises an alert that the release resolves', async () => {
    const { customer, runId } = await frozen()
    await expect(releaseInvoiceRun(operator, { workspaceId: customer.workspaceId, runId })).rejects.toMatchObject({
      code: 'run_not_held',
    })
    const nobody = {
      ...operator,
      ability: abilityFor({ role: 'owner', workspaceId: customer.workspaceId, isOperator: false }),
    }
    await expect(releaseInvoiceRun(nobody, { workspaceId: customer.workspaceId, runId })).rejects.toMatchObject({
      kind: 'forbidden',
    })
    world.sandbox.world.state.customers[customer.customerId]!.currency = 'eur'
    await write(customer, runId)
    const alert = () =>
      inSystem((tx) =>
        tx.alert.findUniqueOrThrow({ where: { kind_reference: { kind: 'invoice_run_held', reference: runId } } }),
      )
    expect((await alert()).resolvedAt).toBeNull()
    world.sandbox.world.state.customers[customer.customerId]!.currency = 'usd'
    await releaseInvoiceRun(operator, { workspaceId: customer.workspaceId, runId })
    expect((await alert()).resolvedAt).not.toBeNull()
    expect(await write(customer, runId)).toBe('done')
  })
})
