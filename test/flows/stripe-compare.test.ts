import { describe, expect, test } from 'vitest'
import { compareStripe, compareWorkspace } from '#app/domain/billing/compare-stripe.server.ts'
import { sweepStripe } from '#app/domain/billing/sweep-stripe.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { customerWithKey, keysOf, moveTo, settle, webhookEndpoint, workspaceOf } from './billing-endpoint.ts'
import {
  billingWorld,
  CLOSE_TIME,
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

const differencesOf = (customer: Customer) =>
  inSystem((tx) =>
    tx.reconciliationDifference.findMany({
      where: { workspaceId: customer.workspaceId, resolvedAt: null },
      select: { kind: true, reference: true, moneyPico: true },
    }),
  )
async function invoiced(): Promise<{ customer: Customer; runId: string; invoiceId: string }> {
  const customer = await makeCustomer(world)
  await recordUsage(customer.workspaceId, OCTOBER_USAGE)
  const runId = await freezeOctober(customer)
  await write(customer, runId)
  return { customer, runId, invoiceId: (await runRow(customer, runId)).stripeInvoiceId ?? '' }
}
/** As a backup of before the close has it: no run, and its calls not billed. */
async function restoreBefore(customer: Customer): Promise<void> {
  const ofRuns = ['stripe_operations', 'invoice_lines', 'invoice_day_digests', 'invoice_runs']
  const tables = [...ofRuns, 'metering.closed_months']
  await world.db.owner.query('SET session_replication_role = replica')
  for (const table of tables)
    await world.db.owner.query(`DELETE FROM ${table} WHERE workspace_id = $1`, [customer.workspaceId])
  await world.db.owner.query('SET session_replication_role = DEFAULT')
}

describe('the daily compare', () => {
  test('our lines are Stripe’s lines: equal books leave nothing behind', async () => {
    const { customer } = await invoiced()
    const compared = await compareWorkspace(customer.workspaceId, CLOSE_TIME)
    expect(compared).toEqual({ runs: 1, differences: 0, unknown: 0 })
    expect(await differencesOf(customer)).toEqual([])
  })

  test('a line that was changed behind our back is found with the money it means, and gone when it is put right', async () => {
    const { customer, runId, invoiceId } = await invoiced()
    const items = Object.values(world.sandbox.world.state.invoiceItems).filter((item) => item.invoice === invoiceId)
    items[0]!.amount += 7
    expect(await compareWorkspace(customer.workspaceId, CLOSE_TIME)).toMatchObject({ differences: 1 })
    const [found] = await differencesOf(customer)
    expect(found).toMatchObject({ kind: 'stripe_lines', reference: runId })
    expect(found?.moneyPico?.toFixed(0)).toBe('-70000000000')
    items[0]!.amount -= 7
    expect(await compareWorkspace(customer.workspaceId, CLOSE_TIME)).toMatchObject({ differences: 0 })
    expect(await differencesOf(customer)).toEqual([])
  })

  test('case 80: PostgreSQL restored to before the close: unknown invoices are listed by run_id and adopted, never made again', async () => {
    const { customer, runId, invoiceId } = await invoiced()
    await restoreBefore(customer)
    expect(await compareWorkspace(customer.workspaceId, CLOSE_TIME)).toEqual({ runs: 0, differences: 0, unknown: 1 })
    expect(await differencesOf(customer)).toMatchObject([{ kind: 'unknown_invoice', reference: invoiceId }])
    await settle(world)
    expect(await runRow(customer, runId)).toMatchObject({ state: 'done', stripeInvoiceId: invoiceId })
    expect(stripeInvoices(world, customer)).toHaveLength(1)
    await expectOneInvoice(world, customer, runId)
    expect(await compareWorkspace(customer.workspaceId, CLOSE_TIME)).toEqual({ runs: 1, differences: 0, unknown: 0 })
    expect(await differencesOf(customer)).toEqual([])
  })

  test('what is not ours on the customer is left alone: the plan fee, an invoice of the Dashboard, one of another workspace', async () => {
    const customer = await makeCustomer(world)
    await world.stripe.invoices.create({ customer: customer.customerId, currency: 'usd' })
    const metadata = { run_id: 'r', workspace_id: '01900000-0000-7000-8000-000000000000', period: '2026-10' }
    await world.stripe.invoices.create({ customer: customer.customerId, currency: 'usd', metadata })
    expect(await compareWorkspace(customer.workspaceId, CLOSE_TIME)).toMatchObject({ unknown: 0 })
    expect(await differencesOf(customer)).toEqual([])
  })

  test('is one job per workspace with a customer, asked twice or not', async () => {
    const before = await compareStripe()
    await compareStripe()
    const { rows } = await world.db.owner.query(
      `SELECT count(*)::int AS n FROM graphile_worker.jobs WHERE task_identifier = 'compare-workspace-stripe'`,
    )
    expect(rows).toEqual([{ n: before }])
    await settle(world)
  })
})

describe('the hourly sweep', () => {
  test('case 41: an endpoint that was down for four days: as if on time, but for the time of the purge', async () => {
    const { customer } = await customerWithKey(world)
    world.sandbox.webhooks.knobs = { drop: () => true }
    await moveTo(world, customer, 'pro')
    const missed = Object.values(world.sandbox.world.state.events).filter((event) => event.failed)
    expect(missed.length).toBeGreaterThan(0)
    world.sandbox.control.advanceClock(4 * 86_400_000)
    await settle(world)
    expect(await keysOf(customer)).toHaveLength(1)
    world.sandbox.webhooks.knobs = {}
    const at = new Date(world.sandbox.world.now())
    const swept = await sweepStripe(at)
    expect(swept.failed).toBe(0)
    expect(swept.events).toBeGreaterThanOrEqual(1)
    expect(await workspaceOf(customer)).toMatchObject({ planId: 'pro' })
    expect(await keysOf(customer)).toEqual([])
    const [purge] = await inSystem((tx) => tx.keyPurge.findMany({ where: { workspaceId: customer.workspaceId } }))
    expect(purge?.purgedAt).toEqual(at)
    await settle(world)
    const stored = await inSystem((tx) => tx.stripeEvent.findMany({ orderBy: { receivedAt: 'asc' } }))
    expect(stored.filter(({ id }) => missed.some((event) => event.id === id)).every((row) => row.processedAt)).toBe(
      true,
    )
    expect((await sweepStripe(at)).events).toBe(0)
  })
})
