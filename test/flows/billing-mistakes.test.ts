/** What a wrong key, a copy in the Dashboard or two people at once must not cost: no key lost, no month billed twice. */
import { describe, expect, test } from 'vitest'
import { compareWorkspace } from '#app/domain/billing/compare-stripe.server.ts'
import { creditInvoice } from '#app/domain/billing/credit-invoice.server.ts'
import { loadRun, runStore } from '#app/domain/billing/internal/run-store.server.ts'
import * as stripe from '#app/domain/billing/internal/stripe.server.ts'
import { syncInvoice } from '#app/domain/billing/internal/sync-invoice.server.ts'
import { writeRun } from '#app/domain/billing/internal/write-run.ts'
import {
  type ReleaseInput,
  releaseTaxHolds,
  resolveInvoiceRun,
} from '#app/domain/billing/release-invoice-run.server.ts'
import { approveInvoiceRun, holdInvoiceRun } from '#app/domain/billing/review-invoice.server.ts'
import { storeEvent } from '#app/domain/billing/store-event.server.ts'
import { sweepStripe } from '#app/domain/billing/sweep-stripe.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { lockWorkspace } from '#app/domain/workspaces/change-plan.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { customerWithKey, keysOf, settle, webhookEndpoint, workspaceOf } from './billing-endpoint.ts'
import {
  billingWorld,
  CLOSE_TIME,
  type Customer,
  clock,
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
const operator: OperatorCtx = {
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: clock,
  requestId: 'flow',
}

async function frozen() {
  const customer = await makeCustomer(world)
  await recordUsage(customer.workspaceId, OCTOBER_USAGE)
  const runId = await freezeOctober(customer)
  return { customer, runId, of: { workspaceId: customer.workspaceId, runId } }
}
async function creditOneCent(ctx: OperatorCtx, of: ReleaseInput) {
  const { lines } = await loadRun(of.workspaceId, of.runId)
  const given = { lines: [{ lineKey: lines[0]?.lineKey ?? '', amountCents: 1n }], memo: 'a wrong price' }
  return creditInvoice(ctx, { ...of, ...given, reason: 'order_change', back: 'balance' })
}
const alertsOf = async (reference: string) =>
  (await inSystem((tx) => tx.alert.findMany({ where: { reference, resolvedAt: null } }))).map(({ kind }) => kind)

describe('a Stripe key of another account or mode', () => {
  /** As that account answers: it never had the customer. */
  async function unknownThere<T>(customerId: string, act: () => Promise<T>): Promise<T> {
    const { customers } = world.sandbox.world.state
    const kept = customers[customerId]
    delete customers[customerId]
    try {
      return await act()
    } finally {
      if (kept) customers[customerId] = kept
    }
  }

  test('destroys no key and suspends nobody; an operator is told, until the customer is found again', async () => {
    const { customer } = await customerWithKey(world)
    await unknownThere(customer.customerId, () => sweepStripe(world.now()))
    expect(await keysOf(customer)).toEqual([{ enabled: true }])
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'enterprise', suspendedAt: null })
    expect(await alertsOf(customer.workspaceId)).toContain('stripe_customer_missing')
    await sweepStripe(world.now())
    expect(await alertsOf(customer.workspaceId)).not.toContain('stripe_customer_missing')
  })

  test('a run that it could not write is resumed under the right one, and billed once', async () => {
    const { customer, runId, of } = await frozen()
    expect(await unknownThere(customer.customerId, () => write(customer, runId))).toBe('uncollectable')
    await resolveInvoiceRun(operator, { ...of, resolution: 'resume' })
    expect(await write(customer, runId)).toBe('done')
    await expectOneInvoice(world, customer, runId)
  })
})

test.each(['sk_live_abc', 'rk_live_abc'])('a live event is taken under the live key %s', async (key) => {
  const before = world.sandbox.apiKey
  world.db.configure({ STRIPE_SECRET_KEY: key })
  const event = { id: `evt_${key}`, type: 'invoice.paid', livemode: true, created: 1, data: { object: { id: 'in_x' } } }
  try {
    expect(await storeEvent(event as never, CLOSE_TIME)).toBe('stored')
    expect(await storeEvent({ ...event, livemode: false } as never, CLOSE_TIME)).toBe('ignored')
  } finally {
    world.db.configure({ STRIPE_SECRET_KEY: before })
  }
  await settle(world)
})

test('a second invoice that names the same run is found by the daily compare, until it is voided', async () => {
  const { customer, runId } = await frozen()
  await write(customer, runId)
  const [ours] = stripeInvoices(world, customer)
  const { metadata } = await world.stripe.invoices.retrieve(ours?.id ?? '')
  const copy = await world.stripe.invoices.create({
    customer: customer.customerId,
    currency: 'usd',
    metadata: metadata ?? {},
  })
  const item = { customer: customer.customerId, invoice: copy.id, currency: 'usd', amount: 1_234 }
  await world.stripe.invoiceItems.create({ ...item, description: 'copied' })
  await world.stripe.invoices.finalizeInvoice(copy.id, { auto_advance: false })
  const open = () =>
    inSystem((tx) =>
      tx.reconciliationDifference.findMany({
        where: { workspaceId: customer.workspaceId, resolvedAt: null },
        select: { kind: true, reference: true, moneyPico: true },
      }),
    )
  await compareWorkspace(customer.workspaceId, CLOSE_TIME)
  const [found, ...more] = await open()
  expect(more).toEqual([])
  expect(found).toMatchObject({ kind: 'second_invoice', reference: copy.id })
  expect(found?.moneyPico?.toFixed(0)).toBe('-12340000000000')
  expect(await alertsOf(copy.id)).toEqual(['second_invoice'])
  await world.stripe.invoices.voidInvoice(copy.id)
  await compareWorkspace(customer.workspaceId, CLOSE_TIME)
  expect(await open()).toEqual([])
  expect(await alertsOf(copy.id)).toEqual([])
})

describe('two hands at once', () => {
  const waiting = async () => {
    const { rows } = await world.db.owner.query(
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
    )
    return rows[0]?.n
  }
  /** Not finalised yet. */
  async function draftOf(customer: Customer, runId: string): Promise<string> {
    const stop = { operation: 'invoices.finalizeInvoice', times: 20, when: 'before', effect: 'socket_close' } as const
    world.sandbox.faults.add(stop)
    await expect(write(customer, runId)).rejects.toThrow()
    world.sandbox.faults.clear()
    return stripeInvoices(world, customer)[0]?.id ?? ''
  }

  // Each had locked what the other needed, and PostgreSQL ended one of them.
  test('linking locks the workspace and then its runs: who holds a run waits for the workspace first', async () => {
    const { customer, runId, of } = await frozen()
    const draft = await draftOf(customer, runId)
    await world.stripe.invoices.del(draft)
    let looked: Promise<string> | undefined
    await inSystem(async (tx) => {
      await lockWorkspace(tx, of.workspaceId)
      looked = syncInvoice(of.workspaceId, draft, CLOSE_TIME)
      await expect.poll(waiting).toBeGreaterThan(0)
      await tx.$queryRaw`SELECT 1 FROM invoice_runs WHERE workspace_id = ${of.workspaceId}::uuid FOR UPDATE NOWAIT`
    })
    expect(await looked).toBe('invoice_missing')
    expect(await runRow(customer, runId)).toMatchObject({ state: 'held', heldReason: 'invoice_missing' })
  })

  test.each([
    ['an approval', approveInvoiceRun],
    ['a hold', (ctx, of) => holdInvoiceRun(ctx, { ...of, reason: 'a wrong price' })],
    ['a credit note', creditOneCent],
  ] satisfies [string, (ctx: OperatorCtx, of: ReleaseInput) => Promise<unknown>][])('so does %s', async (what, act) => {
    const { customer, runId, of } = await frozen()
    if (what === 'a credit note') expect(await write(customer, runId)).toBe('done')
    let acted: Promise<unknown> | undefined
    await inSystem(async (tx) => {
      await lockWorkspace(tx, of.workspaceId)
      acted = act(operator, of)
      acted.catch(() => null)
      await expect.poll(waiting).toBeGreaterThan(0)
      await tx.$queryRaw`SELECT 1 FROM invoice_runs WHERE workspace_id = ${of.workspaceId}::uuid FOR UPDATE NOWAIT`
    })
    await acted
    await settle(world)
  })

  test('a run that was re-issued while Stripe was slow is not held again: it cannot be re-issued twice', async () => {
    const { customer, runId, of } = await frozen()
    const draft = await draftOf(customer, runId)
    let reissued = ''
    // While it waits for Stripe's answer the draft goes, its event holds the run, and an operator re-issues it.
    const slowly: typeof stripe.findCustomer = async (id) => {
      await world.stripe.invoices.del(draft)
      await syncInvoice(of.workspaceId, draft, CLOSE_TIME)
      reissued = (await resolveInvoiceRun(operator, { ...of, resolution: 'reissue' })).runId
      return stripe.findCustomer(id)
    }
    const bundle = await loadRun(of.workspaceId, runId)
    const ports = { store: runStore, stripe: { ...stripe, findCustomer: slowly }, appOrigin: '', now: clock }
    expect(await writeRun(bundle, ports)).toBe('held')
    expect(await runRow(customer, runId)).toMatchObject({ state: 'superseded' })
    await expect(resolveInvoiceRun(operator, { ...of, resolution: 'reissue' })).rejects.toMatchObject({
      code: 'run_not_held',
    })
    expect(await write(customer, reissued)).toBe('done')
  })

  test('what an operator settles by hand does not go on because the customer’s address came at that moment', async () => {
    const { runId, of } = await frozen()
    const where = { workspaceId_id: { workspaceId: of.workspaceId, id: runId } }
    await inSystem((tx) => tx.invoiceRun.update({ where, data: { state: 'held', heldReason: 'tax_location' } }))
    let release: Promise<number> | undefined
    await inSystem(async (tx) => {
      await tx.$queryRaw`SELECT 1 FROM invoice_runs WHERE workspace_id = ${of.workspaceId}::uuid FOR UPDATE`
      release = inSystem((other) => releaseTaxHolds(other, of.workspaceId, CLOSE_TIME))
      await expect.poll(waiting).toBeGreaterThan(0)
      await tx.invoiceRun.update({ where, data: { state: 'settled', settledNote: 'paid by bank transfer' } })
    })
    expect(await release).toBe(0)
    expect(await inSystem((tx) => tx.invoiceRun.findUnique({ where }))).toMatchObject({ state: 'settled' })
  })
})
