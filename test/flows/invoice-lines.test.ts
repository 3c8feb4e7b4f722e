/** Invoices of months that hold more than calls at a tier price: fees, meters, corrections, what was carried. */
import { describe, expect, test } from 'vitest'
import { dollarLine } from '#app/domain/billing/billing.ts'
import { closeMonth } from '#app/domain/billing/close-month.server.ts'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { previewInvoiceOf } from '#app/domain/billing/preview-invoice.server.ts'
import { getFrozenInvoice } from '#app/domain/billing/queries.server.ts'
import { resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { type CalendarMonth, parseMonth } from '#app/platform/calendar-month.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { makeWorkspace } from '#test/factories.ts'
import { seedCustomer } from '#test/sandbox/stripe/sdk-client.ts'
import {
  billingWorld,
  CLOSE_TIME,
  type Customer,
  expectOneInvoice,
  freezeOctober,
  makeCustomer,
  NOVEMBER,
  OCTOBER,
  recordUsage,
  runRow,
  stripeInvoices,
  write,
} from './billing-world.ts'

const world = billingWorld()
const DECEMBER_TIME = new Date('2026-12-03T02:00:00Z')
const DECEMBER = parseMonth('2026-12')
const JANUARY = parseMonth('2027-01')
const JANUARY_TIME = new Date('2027-01-03T02:00:00Z')

/** Moves a customer onto a plan as of a time, and has a key enabled from another. */
async function withKey(workspaceId: string, planId: string, enabledFrom: string, enabledTo: string | null = null) {
  const { owner } = world.db
  await owner.query('UPDATE workspaces SET plan_id = $2 WHERE id = $1', [workspaceId, planId])
  await owner.query('DELETE FROM workspace_plan_periods WHERE workspace_id = $1', [workspaceId])
  await owner.query(`INSERT INTO workspace_plan_periods VALUES ($1, $2, '2026-01-01')`, [workspaceId, planId])
  await owner.query(
    'INSERT INTO provider_key_periods (workspace_id, key_id, provider, enabled_from, enabled_to) VALUES ($1, $2, $3, $4, $5)',
    [workspaceId, newId(), 'openrouter', enabledFrom, enabledTo],
  )
}

async function recordEvent(workspaceId: string, at: string, quantity: string, charge: string) {
  await world.db.owner.query(
    `INSERT INTO metering.usage_events (workspace_id, source, event_id, id, meter, quantity, occurred_at, billing_month, price_book_version,
       unit_usd, amount_pico, charge_mode, credit_pico, charge_pico, content_hash)
     VALUES ($1, 'test', $6, $2::uuid, 'sandbox_seconds', $4, $3, date_trunc('month', $3::timestamptz AT TIME ZONE 'UTC')::date, 1, 0.0000125,
       $5, 'invoice', 0, $5, '\\x00')`,
    [workspaceId, newId(), at, quantity, charge, newId()],
  )
}

const openMonths = async (customer: Customer, month = OCTOBER) =>
  (await closeMonth(month)).filter((open) => open.workspaceId === customer.workspaceId).map((open) => open.month)

describe('a month without calls', () => {
  test('case 69: is closed for its key fee alone, prorated by the second, with its arithmetic on the line', async () => {
    const customer = await makeCustomer(world)
    await withKey(customer.workspaceId, 'harness-solo', '2026-10-16T12:00:00Z')
    expect(await openMonths(customer)).toEqual(['2026-10'])
    const { invoice } = await previewInvoiceOf(customer.workspaceId, OCTOBER)
    const runId = await freezeOctober(customer)
    expect(await write(customer, runId)).toBe('done')
    await expectOneInvoice(world, customer, runId)
    const run = await runRow(customer, runId)
    expect(run).toMatchObject({ totalCents: 400n, calls: 0n, linesHash: invoice.linesHash })
    expect(run.lines[0]).toMatchObject({ kind: 'key_fee', calls: 0n, amountCents: 400n })
    expect(run.lines[0]?.description).toBe(
      'Own-key fee, Harness Solo plan: $8.00 × 1,339,200 s of 2,678,400 s with a key enabled, October 2026',
    )
    expect(run.lines[0]?.detail).toMatchObject({
      activeMs: '1339200000',
      monthMs: '2678400000',
      feePico: '8000000000000',
    })
    expect(await openMonths(customer)).toEqual([])
    expect(await openMonths(customer, NOVEMBER)).toEqual(['2026-11'])
  })

  test('a key that is disabled before the month, and a plan without a fee, close nothing', async () => {
    const before = await makeCustomer(world)
    await withKey(before.workspaceId, 'harness-solo', '2026-09-02T00:00:00Z', '2026-09-30T00:00:00Z')
    expect(await openMonths(before)).toEqual(['2026-09'])
    const free = await makeCustomer(world)
    await withKey(free.workspaceId, 'enterprise', '2026-10-02T00:00:00Z')
    expect(await openMonths(free)).toEqual([])
  })

  test('is closed for usage that is no call', async () => {
    const customer = await makeCustomer(world)
    await recordEvent(customer.workspaceId, '2026-10-05T00:00:00Z', '80000', '1000000000000')
    expect(await openMonths(customer)).toEqual(['2026-10'])
    const runId = await freezeOctober(customer)
    expect(await write(customer, runId)).toBe('done')
    await expectOneInvoice(world, customer, runId)
    expect((await runRow(customer, runId)).lines[0]).toMatchObject({ kind: 'usage', amountCents: 100n })
  })

  test('case 21: what was carried is billed on leaving, although nothing was used since', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, [{ tierPrice: '0.30', raw: '0' }])
    expect(await write(customer, await freezeOctober(customer))).toBe('carried')
    expect(await openMonths(customer, NOVEMBER)).toEqual([])
    await inSystem((tx) =>
      tx.workspace.update({ where: { id: customer.workspaceId }, data: { subscriptionStatus: 'canceled' } }),
    )
    expect(await openMonths(customer, NOVEMBER)).toEqual(['2026-11'])
    const last = await freezeInvoiceRun({ workspaceId: customer.workspaceId, month: NOVEMBER, now: DECEMBER_TIME })
    expect(await write(customer, last?.runId ?? '', () => DECEMBER_TIME)).toBe('done')
    expect(stripeInvoices(world, customer)[0]?.amounts).toEqual([30])
    expect(await openMonths(customer, NOVEMBER)).toEqual([])
  })
})

describe('corrections', () => {
  test('case 63: a cost that its provider corrects later is a difference on the next invoice, and may be negative', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, [{ tierPrice: '10', raw: '4' }])
    const first = await freezeOctober(customer)
    await write(customer, first)
    const { rows } = await world.db.owner.query(
      'SELECT id::text, dispatched_at FROM metering.inference_calls WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    const adjust = () =>
      world.db.owner.query(
        `SELECT * FROM metering.adjust_calls($1, 'cost_corrected', 'import-1', ARRAY[$2::uuid], ARRAY[$3::timestamptz], ARRAY[1],
           ARRAY[7000000000000], ARRAY[10000000000000], ARRAY[NULL::bigint], ARRAY[3000000000000])`,
        [customer.workspaceId, rows[0].id, rows[0].dispatched_at],
      )
    expect((await adjust()).rows[0]).toEqual({ written: '1', difference: '-3000000000000' })
    expect((await adjust()).rows[0]).toEqual({ written: '0', difference: '0' })
    await recordUsage(customer.workspaceId, [{ at: '2026-11-05T00:00:00.000Z', tierPrice: '5', raw: '0' }])
    const next = await freezeInvoiceRun({ workspaceId: customer.workspaceId, month: NOVEMBER, now: DECEMBER_TIME })
    const run = await runRow(customer, next?.runId ?? '')
    expect(run.lines.map((line) => [line.kind, line.usageMonth, line.amountCents])).toEqual([
      ['calls', '2026-11', 200n],
      ['correction', '2026-10', 0n],
    ])
    expect(await write(customer, run.id, () => DECEMBER_TIME)).toBe('done')
    expect((await runRow(customer, first)).totalCents).toBe(600n)
  })

  test('a credit that nobody can take up any more is told to operators: the customer has left', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, [{ tierPrice: '10', raw: '4' }])
    await write(customer, await freezeOctober(customer))
    const { rows } = await world.db.owner.query(
      'SELECT id::text, dispatched_at FROM metering.inference_calls WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    await world.db.owner.query(
      `SELECT * FROM metering.adjust_calls($1, 'cost_corrected', 'import-2', ARRAY[$2::uuid], ARRAY[$3::timestamptz], ARRAY[1],
         ARRAY[7000000000000], ARRAY[10000000000000], ARRAY[NULL::bigint], ARRAY[3000000000000])`,
      [customer.workspaceId, rows[0].id, rows[0].dispatched_at],
    )
    const told = () =>
      inSystem((tx) => tx.alert.findFirst({ where: { kind: 'credit_left_over', reference: customer.workspaceId } }))
    const close = (month: CalendarMonth, now: Date) =>
      freezeInvoiceRun({ workspaceId: customer.workspaceId, month, now })
    expect(await close(NOVEMBER, DECEMBER_TIME)).toMatchObject({ state: 'carried' })
    expect(await told()).toBeNull()
    await inSystem((tx) =>
      tx.workspace.update({ where: { id: customer.workspaceId }, data: { subscriptionStatus: 'canceled' } }),
    )
    expect(await openMonths(customer, DECEMBER)).toEqual(['2026-12'])
    expect(await close(DECEMBER, JANUARY_TIME)).toBeNull()
    expect(await told()).toMatchObject({ resolvedAt: null, message: expect.stringContaining('a credit of $3.00') })
    // Given back and dismissed, it came again with every month's close: a second operator would have given it back again.
    await inSystem((tx) => resolveAlert(tx, 'credit_left_over', customer.workspaceId, JANUARY_TIME))
    expect(await close(JANUARY, new Date('2027-02-03T02:00:00Z'))).toBeNull()
    expect(await told()).toMatchObject({ resolvedAt: JANUARY_TIME })
    await inSystem((tx) => tx.alert.updateMany({ where: { kind: 'credit_left_over' }, data: { resolvedAt: null } }))
    // Back again, the next invoice takes it up.
    await inSystem((tx) =>
      tx.workspace.update({ where: { id: customer.workspaceId }, data: { subscriptionStatus: 'active' } }),
    )
    await recordUsage(customer.workspaceId, [{ at: '2026-12-20T00:00:00.000Z', tierPrice: '5', raw: '0' }])
    const last = await close(DECEMBER, JANUARY_TIME)
    expect(await runRow(customer, last?.runId ?? '')).toMatchObject({ totalCents: 200n })
    expect(await told()).toMatchObject({ resolvedAt: JANUARY_TIME })
  })
})

describe('currencies', () => {
  test('case 66: a workspace in yen is billed whole yen', async () => {
    const customerId = await seedCustomer(world.stripe)
    const { id: workspaceId } = await makeWorkspace({ planId: 'pro', stripeCustomerId: customerId })
    await inSystem((tx) => tx.workspace.update({ where: { id: workspaceId }, data: { currency: 'jpy' } }))
    await recordUsage(workspaceId, [{ tierPrice: '1234.5', keySource: 'platform', priceBookVersion: 77 }])
    const frozen = await freezeInvoiceRun({ workspaceId, month: OCTOBER, now: CLOSE_TIME })
    const customer = { workspaceId, customerId, subscriptionId: '' }
    expect(frozen?.state).toBe('frozen')
    expect(await runRow(customer, frozen?.runId ?? '')).toMatchObject({ currency: 'jpy', totalCents: 1_234n })
    expect(await write(customer, frozen?.runId ?? '')).toBe('done')
    const [sent] = stripeInvoices(world, customer)
    expect(sent?.amounts).toEqual([1_234])
    expect(await world.stripe.invoices.retrieve(sent?.id ?? '')).toMatchObject({ currency: 'jpy', total: 1_234 })
  })

  test('case 23: margins in another currency than dollars, or prices of another currency, are held at the close', async () => {
    const close = async (keySource: 'workspace' | 'platform') => {
      const { id: workspaceId } = await makeWorkspace({})
      await inSystem((tx) => tx.workspace.update({ where: { id: workspaceId }, data: { currency: 'eur' } }))
      await recordUsage(workspaceId, [{ tierPrice: '9', raw: '1', keySource }])
      await freezeInvoiceRun({ workspaceId, month: OCTOBER, now: CLOSE_TIME })
      return inSystem((tx) => tx.invoiceRun.findFirstOrThrow({ where: { workspaceId } }))
    }
    expect(await close('workspace')).toMatchObject({ state: 'held', heldReason: 'needs_dollars' })
    expect(await close('platform')).toMatchObject({ state: 'held', heldReason: 'price_currency' })
  })

  // $8.00 became ¥8.
  test('case 23: a key fee is in dollars: it is held where the workspace is billed in yen', async () => {
    const customer = await makeCustomer(world)
    await withKey(customer.workspaceId, 'harness-solo', '2026-10-01T00:00:00Z')
    await inSystem((tx) => tx.workspace.update({ where: { id: customer.workspaceId }, data: { currency: 'jpy' } }))
    // Enough of it to be billed at all.
    await world.db.owner.query(`UPDATE plans SET key_fee_usd = 80 WHERE id = 'harness-solo'`)
    const run = await runRow(customer, await freezeOctober(customer))
    await world.db.owner.query(`UPDATE plans SET key_fee_usd = 8 WHERE id = 'harness-solo'`)
    expect(run).toMatchObject({ state: 'held', heldReason: 'needs_dollars' })
  })

  test('case 23: too little of such a fee is carried, never charged', async () => {
    const customer = await makeCustomer(world)
    await withKey(customer.workspaceId, 'harness-solo', '2026-10-01T00:00:00Z')
    await inSystem((tx) => tx.workspace.update({ where: { id: customer.workspaceId }, data: { currency: 'jpy' } }))
    const runId = await freezeOctober(customer)
    expect(await runRow(customer, runId)).toMatchObject({ state: 'carried', totalCents: 0n })
    const { lines } = await getFrozenInvoice(customer.workspaceId, runId)
    expect(dollarLine({ currency: 'jpy', lines })).toMatchObject({ kind: 'key_fee', amountCents: 0n })
  })
})
