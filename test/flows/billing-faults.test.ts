import { describe, expect, test } from 'vitest'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import type { FaultEffect } from '#test/sandbox/stripe/faults.ts'
import {
  billingWorld,
  CLOSE_TIME,
  type Customer,
  clock,
  expectOneInvoice,
  freezeOctober,
  makeCustomer,
  OCTOBER,
  OCTOBER_USAGE,
  recordUsage,
  runRow,
  write,
} from './billing-world.ts'

const world = billingWorld()
const later = (hours: number) => () => new Date(CLOSE_TIME.getTime() + hours * 3_600_000)

async function frozen(
  options: Parameters<typeof makeCustomer>[1] = {},
): Promise<{ customer: Customer; runId: string }> {
  const customer = await makeCustomer(world, options)
  await recordUsage(customer.workspaceId, OCTOBER_USAGE)
  return { customer, runId: await freezeOctober(customer) }
}

const createCalls = (from: number, operation = 'invoices.create') =>
  world.sandbox.journal.slice(from).filter((entry) => entry.operation === operation)

/** Writes again, as the job's retries would, until it succeeds. */
async function writeUntilDone(customer: Customer, runId: string, now = clock): Promise<void> {
  await expect
    .poll(() => write(customer, runId, now).catch(() => 'again'), { timeout: 180_000, interval: 10 })
    .toBe('done')
}

describe('faults of the wire', () => {
  const operations = [
    'invoices.create',
    'invoiceItems.create',
    'invoices.finalizeInvoice',
    'invoices.retrieve',
    'invoices.listLineItems',
  ]
  const faults: [FaultEffect, 'before' | 'after'][] = [
    ['server_error', 'before'],
    ['server_error', 'after'],
    ['socket_close', 'before'],
    ['socket_close', 'after'],
    ['malformed_json', 'after'],
    ['not_found_without_error', 'before'],
    ['lock_timeout', 'before'],
    ['rate_limit', 'before'],
    ['conflict', 'before'],
  ]
  test.each(faults)('%s %s the work, at any operation: one invoice, equal sums', async (effect, when) => {
    for (const operation of operations) {
      const { customer, runId } = await frozen()
      world.sandbox.faults.add({ operation, times: 2, when, effect })
      await writeUntilDone(customer, runId)
      world.sandbox.faults.clear()
      await expectOneInvoice(world, customer, runId)
    }
  })

  test('case 9: 429 five times in a row is waited out with the same key, at half the pace, without a duplicate', async () => {
    const { customer, runId } = await frozen()
    const from = world.sandbox.journal.length
    world.sandbox.faults.add({ operation: 'invoices.create', times: 5, when: 'before', effect: 'rate_limit' })
    expect(await write(customer, runId)).toBe('done')
    const calls = createCalls(from)
    expect(calls).toHaveLength(6)
    expect(new Set(calls.map((call) => call.idempotencyKey)).size).toBe(1)
    const { rows } = await world.db.owner.query(
      `SELECT per_second FROM stripe_paces WHERE operation = 'invoices.create'`,
    )
    expect(rows[0]?.per_second).toBeLessThan(600)
    await expectOneInvoice(world, customer, runId)
  })

  test('case 10: a stored lock_timeout is a known failure: a look, then another key', async () => {
    const { customer, runId } = await frozen()
    const from = world.sandbox.journal.length
    world.sandbox.faults.add({ operation: 'invoices.create', when: 'before', effect: 'lock_timeout' })
    expect(await write(customer, runId)).toBe('done')
    const keys = createCalls(from).map((call) => call.idempotencyKey?.split(':').at(-1))
    expect(keys).toEqual(['0', '0', '1'])
    expect(createCalls(from, 'invoices.list')).toHaveLength(2)
    const [operation] = (await runRow(customer, runId)).operations
    expect(operation).toMatchObject({ attempt: 1, state: 'done' })
    await expectOneInvoice(world, customer, runId)
  })

  test('case 6: cut off after Stripe acted: the same key replays the same invoice', async () => {
    const { customer, runId } = await frozen()
    const from = world.sandbox.journal.length
    world.sandbox.faults.add({ operation: 'invoices.create', when: 'after', effect: 'socket_close' })
    expect(await write(customer, runId)).toBe('done')
    const calls = createCalls(from)
    expect(calls.map(({ status, replayed }) => [status, replayed])).toEqual([
      [0, false],
      [200, true],
    ])
    expect(new Set(calls.map((call) => call.idempotencyKey)).size).toBe(1)
    expect((await runRow(customer, runId)).operations[0]).toMatchObject({ attempt: 0, replayed: true })
    await expectOneInvoice(world, customer, runId)
  })

  test('case 7: cut off before Stripe acted: the same key makes it once', async () => {
    const { customer, runId } = await frozen()
    const from = world.sandbox.journal.length
    world.sandbox.faults.add({ operation: 'invoices.create', when: 'before', effect: 'socket_close' })
    expect(await write(customer, runId)).toBe('done')
    const calls = createCalls(from)
    expect(calls.map(({ status, replayed }) => [status, replayed])).toEqual([
      [0, false],
      [200, false],
    ])
    expect(new Set(calls.map((call) => call.idempotencyKey)).size).toBe(1)
    await expectOneInvoice(world, customer, runId)
  })

  test('case 11: a 500 after the execution is replayed: what is found is adopted, what is not goes out again under another key, with an alert', async () => {
    const found = await frozen()
    const from = world.sandbox.journal.length
    world.sandbox.faults.add({ operation: 'invoices.create', when: 'after', effect: 'server_error' })
    expect(await write(found.customer, found.runId)).toBe('done')
    expect(new Set(createCalls(from).map((call) => call.idempotencyKey)).size).toBe(1)
    await expectOneInvoice(world, found.customer, found.runId)
    const lost = await frozen()
    world.sandbox.faults.add({ operation: 'invoices.create', when: 'after', effect: 'server_error', onHit: forget })
    function forget(): void {
      // The transaction behind the 500 was rolled back: the key replays it, the invoice is not there.
      for (const invoice of Object.values(world.sandbox.world.state.invoices))
        if (invoice.metadata.run_id === lost.runId) invoice.deleted = true
    }
    expect(await write(lost.customer, lost.runId)).toBe('done')
    expect((await runRow(lost.customer, lost.runId)).operations[0]).toMatchObject({ attempt: 1, state: 'done' })
    const alert = { kind: 'stripe_key_spent', workspaceId: lost.customer.workspaceId }
    expect(await inSystem((tx) => tx.alert.count({ where: alert }))).toBe(1)
    await expectOneInvoice(world, lost.customer, lost.runId)
  })

  test('case 12: 409 key in use: wait, the same key, never a new one', async () => {
    const { customer, runId } = await frozen()
    const from = world.sandbox.journal.length
    world.sandbox.faults.add({ operation: 'invoices.create', times: 3, when: 'before', effect: 'conflict' })
    expect(await write(customer, runId)).toBe('done')
    const calls = createCalls(from)
    expect(calls.map(({ status }) => status)).toEqual([409, 409, 409, 200])
    expect(new Set(calls.map((call) => call.idempotencyKey)).size).toBe(1)
    await expectOneInvoice(world, customer, runId)
  })

  test('case 14: a 404 without `error`, as a proxy makes it, is no success: nothing is recorded as done', async () => {
    const { customer, runId } = await frozen()
    const effect = 'not_found_without_error' as const
    world.sandbox.faults.add({ operation: 'invoices.create', times: 50, when: 'before', effect })
    await expect(write(customer, runId)).rejects.toThrow('not_an_answer')
    const run = await runRow(customer, runId)
    expect(run).toMatchObject({ state: 'writing', stripeInvoiceId: null })
    expect(run.operations.filter(({ state }) => state === 'done')).toEqual([])
    world.sandbox.faults.clear()
    await writeUntilDone(customer, runId)
    await expectOneInvoice(world, customer, runId)
  })

  test('case 15: a body that is cut short is an answer that did not come: the same key finds what was made', async () => {
    const { customer, runId } = await frozen()
    const from = world.sandbox.journal.length
    world.sandbox.faults.add({ operation: 'invoices.create', when: 'after', effect: 'malformed_json' })
    await writeUntilDone(customer, runId)
    expect(new Set(createCalls(from).map((call) => call.idempotencyKey)).size).toBe(1)
    await expectOneInvoice(world, customer, runId)
  })

  test('case 8: resumed after 25 hours the old key is not trusted: look first, then another key', async () => {
    for (const when of ['before', 'after'] as const) {
      const { customer, runId } = await frozen()
      world.sandbox.faults.add({ operation: 'invoices.create', times: 20, when, effect: 'socket_close' })
      // The look after the failure fails too, so the outcome stays unknown.
      world.sandbox.faults.add({
        operation: 'invoices.list',
        nth: 2,
        times: 20,
        when: 'before',
        effect: 'server_error',
      })
      await expect(write(customer, runId)).rejects.toThrow('unknown')
      world.sandbox.faults.clear()
      world.sandbox.control.advanceClock(25 * 3_600_000)
      const from = world.sandbox.journal.length
      expect(await write(customer, runId, later(25))).toBe('done')
      expect(createCalls(from).map((call) => call.idempotencyKey?.split(':').at(-1))).toEqual(
        when === 'before' ? ['1'] : [],
      )
      const asked = world.sandbox.journal.slice(from).map(({ operation }) => operation)
      expect(asked.filter((operation) => /^invoices\.(list|create)$/.test(operation))).toEqual(
        when === 'before' ? ['invoices.list', 'invoices.create'] : ['invoices.list'],
      )
      await expectOneInvoice(world, customer, runId)
    }
  })

  test('case 30: Stripe down for three days: the run waits, its lines and period stay', async () => {
    const { customer, runId } = await frozen()
    const before = await runRow(customer, runId)
    world.sandbox.faults.add({ operation: '*', times: 1_000, when: 'before', effect: 'socket_close' })
    await expect(write(customer, runId)).rejects.toThrow('unknown')
    expect(await runRow(customer, runId)).toMatchObject({ state: 'writing', stripeInvoiceId: null, heldReason: null })
    await recordUsage(customer.workspaceId, [{ tierPrice: '7', raw: '0' }])
    world.sandbox.faults.clear()
    world.sandbox.control.advanceClock(72 * 3_600_000)
    expect(await write(customer, runId, later(72))).toBe('done')
    const after = await runRow(customer, runId)
    expect(after.linesHash).toBe(before.linesHash)
    await expectOneInvoice(world, customer, runId)
    const items = Object.values(world.sandbox.world.state.invoiceItems).filter(
      (item) => item.invoice === after.stripeInvoiceId,
    )
    // Of October, and dated when Stripe was there again.
    const october = { start: Date.UTC(2026, 9, 1) / 1000, end: Date.UTC(2026, 10, 1) / 1000 - 1 }
    expect(items.map((item) => item.period)).toEqual(items.map(() => october))
    expect(items).toHaveLength(3)
    const invoice = await world.stripe.invoices.retrieve(after.stripeInvoiceId ?? '')
    expect(invoice.status_transitions.finalized_at).toBeGreaterThanOrEqual(later(72)().getTime() / 1000)
    expect(after.totalCents).toBe(before.totalCents)
  })
})

describe('two at once', () => {
  test('case 4: two workers that close a month at once make one run; the other goes on and asks Stripe nothing', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const freeze = () => freezeInvoiceRun({ workspaceId: customer.workspaceId, month: OCTOBER, now: CLOSE_TIME })
    const results = await Promise.all([freeze(), freeze(), freeze()])
    expect(new Set(results.map((result) => result?.runId)).size).toBe(1)
    expect(results.filter((result) => result?.created)).toHaveLength(1)
    const runId = results[0]?.runId ?? ''
    expect(await write(customer, runId)).toBe('done')
    const from = world.sandbox.journal.length
    expect(await write(customer, runId)).toBe('done')
    expect(world.sandbox.journal).toHaveLength(from)
    await expectOneInvoice(world, customer, runId)
  })

  test('calls recorded while the month closes are on this invoice or the next, never on none or both', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const usage = Array.from({ length: 30 }, () => recordUsage(customer.workspaceId, [{ tierPrice: '1', raw: '0' }]))
    const [runId] = await Promise.all([freezeOctober(customer), ...usage])
    const { exactPico } = await runRow(customer, runId)
    const { rows } = await world.db.owner.query<{ month: string; pico: string }>(
      "SELECT to_char(billing_month, 'YYYY-MM') AS month, sum(charge_pico)::text AS pico FROM metering.inference_calls WHERE workspace_id = $1 GROUP BY 1",
      [customer.workspaceId],
    )
    expect(rows.find((row) => row.month === '2026-10')?.pico).toBe(exactPico.toFixed(0))
    expect(rows.reduce((sum, row) => sum + BigInt(row.pico), 0n)).toBe(20_745_000_000_000n + 30_000_000_000_000n)
  })
})
