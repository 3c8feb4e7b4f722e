import { describe, expect, test } from 'vitest'
import { compareStripe, compareWorkspace } from '#app/domain/billing/compare-stripe.server.ts'
import { readReconciliation, requestCheck, writeOffDifference } from '#app/domain/billing/differences.server.ts'
import { sweepStripe } from '#app/domain/billing/sweep-stripe.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
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
    const before = await compareStripe(CLOSE_TIME)
    await compareStripe(CLOSE_TIME)
    const { rows } = await world.db.owner.query(
      `SELECT count(*)::int AS n FROM graphile_worker.jobs WHERE task_identifier = 'compare-workspace-stripe'`,
    )
    expect(rows).toEqual([{ n: before }])
    await settle(world)
  })
})

const DAY_MS = 86_400_000
const later = (days: number) => new Date(CLOSE_TIME.getTime() + days * DAY_MS)
const closedOf = (customer: Customer) =>
  inSystem((tx) =>
    tx.reconciliationDifference.findMany({
      where: { workspaceId: customer.workspaceId, resolvedAt: { not: null } },
      select: { kind: true, reference: true, resolution: true },
    }),
  )
const itemOf = (invoiceId: string) =>
  Object.values(world.sandbox.world.state.invoiceItems).find((item) => item.invoice === invoiceId)!
/** What compareStripe would look at, by the jobs it leaves. */
async function dueOn(at: Date, customer: Customer): Promise<boolean> {
  await world.db.owner.query(`DELETE FROM graphile_worker._private_jobs`)
  await compareStripe(at)
  const { rows } = await world.db.owner.query(`SELECT 1 FROM graphile_worker.jobs WHERE key = $1`, [
    `compare:${customer.workspaceId}`,
  ])
  await world.db.owner.query(`DELETE FROM graphile_worker._private_jobs`)
  return rows.length > 0
}
const endAt = (customer: Customer, at: Date) =>
  inSystem((tx) => tx.workspace.update({ where: { id: customer.workspaceId }, data: { suspendedAt: at, endedAt: at } }))

describe('a difference is closed when its cause is gone, however old the invoice', () => {
  test('of a run of three months ago', async () => {
    const { customer, invoiceId } = await invoiced()
    itemOf(invoiceId).amount += 7
    await compareWorkspace(customer.workspaceId, CLOSE_TIME)
    expect(await compareWorkspace(customer.workspaceId, later(90))).toMatchObject({ runs: 1, differences: 1 })
    itemOf(invoiceId).amount -= 7
    expect(await compareWorkspace(customer.workspaceId, later(90))).toMatchObject({ differences: 0 })
    expect(await differencesOf(customer)).toEqual([])
    await inSystem((tx) =>
      tx.invoiceRun.updateMany({ where: { workspaceId: customer.workspaceId }, data: { stripeStatus: 'paid' } }),
    )
    expect(await compareWorkspace(customer.workspaceId, later(91))).toMatchObject({ runs: 0 })
  })

  test('of a run that is not in force any more: re-issued, or settled by hand', async () => {
    const { customer, runId, invoiceId } = await invoiced()
    itemOf(invoiceId).amount += 7
    await compareWorkspace(customer.workspaceId, CLOSE_TIME)
    await inSystem((tx) =>
      tx.invoiceRun.update({
        where: { workspaceId_id: { workspaceId: customer.workspaceId, id: runId } },
        data: { state: 'settled' },
      }),
    )
    await compareWorkspace(customer.workspaceId, CLOSE_TIME)
    expect(await closedOf(customer)).toMatchObject([
      { kind: 'stripe_lines', reference: runId, resolution: 'the run is not in force any more' },
    ])
  })

  test('of a second invoice that was deleted as a draft: Stripe does not even list it', async () => {
    const { customer, runId } = await invoiced()
    const metadata = { run_id: runId, workspace_id: customer.workspaceId, period: '2026-10' }
    const copy = await world.stripe.invoices.create({ customer: customer.customerId, currency: 'usd', metadata })
    await compareWorkspace(customer.workspaceId, CLOSE_TIME)
    expect(await differencesOf(customer)).toMatchObject([{ kind: 'second_invoice', reference: copy.id }])
    await world.stripe.invoices.del(copy.id)
    await compareWorkspace(customer.workspaceId, later(60))
    expect(await closedOf(customer)).toMatchObject([{ kind: 'second_invoice', reference: copy.id }])
    const alert = await inSystem((tx) => tx.alert.findFirstOrThrow({ where: { reference: copy.id } }))
    expect(alert.resolvedAt).toEqual(later(60))
  })
})

describe('a workspace that has ended', () => {
  test('is compared while Stripe may still collect from it, and left alone when that is over', async () => {
    const customer = await makeCustomer(world, { card: 'none' })
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const runId = await freezeOctober(customer)
    await write(customer, runId)
    await endAt(customer, CLOSE_TIME)
    const { stripeInvoiceId, stripeStatus } = await runRow(customer, runId)
    expect(stripeStatus).toBe('open')
    itemOf(stripeInvoiceId ?? '').amount += 7
    expect(await dueOn(later(90), customer)).toBe(true)
    expect(await compareWorkspace(customer.workspaceId, later(90))).toMatchObject({ runs: 1, differences: 1 })
    await inSystem((tx) =>
      tx.invoiceRun.update({
        where: { workspaceId_id: { workspaceId: customer.workspaceId, id: runId } },
        data: { stripeStatus: 'void' },
      }),
    )
    // its difference still stands, so it is looked at until that is closed
    expect(await dueOn(later(91), customer)).toBe(true)
    itemOf(stripeInvoiceId ?? '').amount -= 7
    await compareWorkspace(customer.workspaceId, later(91))
    expect(await differencesOf(customer)).toEqual([])
    expect(await dueOn(later(92), customer)).toBe(false)
  })
})

describe('an operator who knows the cause', () => {
  const operator: OperatorCtx = {
    actor: { kind: 'operator', id: 'operator-1' },
    ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
    now: () => CLOSE_TIME,
    requestId: 'flow',
  }
  test('writes a difference off, once and with a reason; it is not found again unless it changes', async () => {
    const { customer, runId, invoiceId } = await invoiced()
    itemOf(invoiceId).amount += 7
    await compareWorkspace(customer.workspaceId, CLOSE_TIME)
    const open = () =>
      inSystem((tx) =>
        tx.reconciliationDifference.findMany({ where: { workspaceId: customer.workspaceId, resolvedAt: null } }),
      )
    const id = (await open())[0]?.id ?? ''
    await expect(writeOffDifference(operator, { id, reason: '  ' })).rejects.toMatchObject({ code: 'note_missing' })
    // asked for by hand, what stands is compared with Stripe again as well
    await requestCheck(operator, 'books')
    const { rows } = await world.db.owner.query(`SELECT 1 FROM graphile_worker.jobs WHERE key = $1`, [
      `compare:${customer.workspaceId}`,
    ])
    expect(rows).toHaveLength(1)
    await settle(world)
    await writeOffDifference(operator, { id, reason: ' agreed with the customer ' })
    await expect(writeOffDifference(operator, { id, reason: 'again' })).rejects.toMatchObject({
      code: 'difference_closed',
    })
    const { writtenOff } = await readReconciliation(operator)
    expect(writtenOff).toMatchObject([
      { id, reference: runId, reason: 'agreed with the customer', by: 'operator-1', moneyPico: '-70000000000' },
    ])
    const audit = await inSystem((tx) =>
      tx.auditEvent.findFirstOrThrow({ where: { action: 'difference.written_off' } }),
    )
    expect(audit).toMatchObject({ workspaceId: customer.workspaceId, subjectId: id })
    expect(await compareWorkspace(customer.workspaceId, CLOSE_TIME)).toMatchObject({ differences: 0 })
    expect(await open()).toEqual([])
    itemOf(invoiceId).amount += 1
    expect(await compareWorkspace(customer.workspaceId, CLOSE_TIME)).toMatchObject({ differences: 1 })
    expect(await open()).toMatchObject([{ reference: runId }])
    itemOf(invoiceId).amount -= 1
    expect(await compareWorkspace(customer.workspaceId, CLOSE_TIME)).toMatchObject({ differences: 0 })
    expect(await open()).toEqual([])
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
    const at = world.now()
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
