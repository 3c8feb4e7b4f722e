import { describe, expect, test } from 'vitest'
import { closeMonth } from '#app/domain/billing/close-month.server.ts'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { previewInvoice } from '#app/domain/billing/preview-invoice.server.ts'
import { getInvoice, getUsageOfMonth, listInvoices } from '#app/domain/billing/queries.server.ts'
import { getStatement } from '#app/domain/billing/statement.server.ts'
import { verifyInvoice } from '#app/domain/billing/verify-invoice.server.ts'
import { parseMonth } from '#app/platform/calendar-month.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { PICO_PER_CENT } from '#app/platform/pico.ts'
import { makeMember } from '#test/factories.ts'
import {
  billingWorld,
  CLOSE_TIME,
  clock,
  expectOneInvoice,
  freezeOctober,
  makeCustomer,
  NOVEMBER,
  OCTOBER,
  OCTOBER_USAGE,
  recordUsage,
  runRow,
  stripeInvoices,
  write,
} from './billing-world.ts'

const world = billingWorld()
const DECEMBER_TIME = new Date('2026-12-03T02:00:00Z')

describe('closing a month', () => {
  test('ends in one paid Stripe invoice of exactly the margin and the tier price, apart', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const runId = await freezeOctober(customer)
    expect(await write(customer, runId)).toBe('done')
    await expectOneInvoice(world, customer, runId)
    const run = await runRow(customer, runId)
    expect(run.lines.map((line) => [line.chargeMode, line.tier, Number(line.amountCents)])).toEqual([
      ['tier', 'frontier', 500],
      ['tier_margin', 'balanced', 340],
      ['tier_margin', 'frontier', 1_234],
    ])
    // 12.345 + 3.40 + 5.00 = 20.745: half to even, and the half cent opens November.
    expect(run.totalCents).toBe(2_074n)
    expect(BigInt(run.closingResiduePico.toFixed(0))).toBe(PICO_PER_CENT / 2n)
    expect(run.stripeInvoiceNumber).toMatch(/-\d{4}$/)
    expect(run.hostedInvoiceUrl).toContain(world.sandbox.url)
  })

  test('case 79: preview, frozen lines, page and Stripe show the same to the cent', async () => {
    const customer = await makeCustomer(world)
    const admin = { ...(await makeMember(customer.workspaceId, 'billing_admin')), now: clock }
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const { invoice: preview } = await previewInvoice(admin, OCTOBER)
    const usage = await getUsageOfMonth(admin, OCTOBER)
    expect(usage).toMatchObject({
      platformPricePico: '5000000000000',
      marginPico: '15745000000000',
      providerBilledPico: '8000000000000',
    })
    const beside = [usage.feePico, usage.usagePico, usage.correctionPico].map(BigInt)
    expect(beside.reduce((all, pico) => all + pico, BigInt(usage.exactPico))).toBe(preview.exactPico)
    const runId = await freezeOctober(customer)
    await write(customer, runId)
    const page = await getInvoice(admin, runId)
    expect(page.linesHash).toBe(preview.linesHash)
    expect(page.lines.map((line) => line.amountCents)).toEqual(preview.lines.map((line) => line.amountCents.toString()))
    const sent = stripeInvoices(world, customer)[0]?.amounts ?? []
    expect(sent.toSorted()).toEqual(page.lines.map((line) => Number(line.amountCents)).toSorted())
    expect((await listInvoices(admin))[0]).toMatchObject({ runId, state: 'done', totalCents: '2074' })
    expect(page.lines[2]?.callsFilter).toEqual({
      billingMonth: '2026-10-01',
      from: '2026-10-01T00:00:00.000Z',
      to: '2026-11-01T00:00:00.000Z',
      chargeMode: 'tier_margin',
      tier: 'frontier',
      keySource: 'workspace',
      priceBookVersion: 1,
    })
  })

  test('members may not read invoices, and another workspace’s invoice looks like a missing one', async () => {
    const customer = await makeCustomer(world)
    const other = await makeMember((await makeCustomer(world)).workspaceId, 'owner')
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const runId = await freezeOctober(customer)
    await expect(listInvoices(await makeMember(customer.workspaceId, 'member'))).rejects.toMatchObject({
      kind: 'forbidden',
    })
    await expect(getInvoice(other, runId)).rejects.toMatchObject({ kind: 'not_found' })
  })

  test('case 60: late usage comes on its own line of the next invoice at the old prices; the closed one stays, and its residue opens the next', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    const october = await freezeOctober(customer)
    await write(customer, october)
    const closed = await runRow(customer, october)
    await recordUsage(customer.workspaceId, [
      { at: '2026-10-31T23:59:58.000Z', tierPrice: '1', raw: '0' },
      { at: '2026-11-10T00:00:00.000Z', tierPrice: '2', raw: '0', priceBookVersion: 2 },
    ])
    const november = await freezeInvoiceRun({ workspaceId: customer.workspaceId, month: NOVEMBER, now: DECEMBER_TIME })
    expect(await write(customer, november?.runId ?? '', () => DECEMBER_TIME)).toBe('done')
    const run = await runRow(customer, november?.runId ?? '')
    expect(BigInt(run.openingResiduePico.toFixed(0))).toBe(PICO_PER_CENT / 2n)
    expect(run.totalCents).toBe(300n)
    expect(run.lines.map((line) => [line.usageMonth, line.priceBookVersion, Number(line.amountCents)])).toEqual([
      ['2026-11', 2, 200],
      ['2026-10', 1, 100],
    ])
    expect(run.lines[1]?.description).toContain('late usage')
    expect(await runRow(customer, october)).toEqual(closed)
    expect(stripeInvoices(world, customer).map(({ amounts }) => amounts.toSorted())).toEqual([
      [1_234, 340, 500],
      [100, 200],
    ])
  })

  test('case 59: a call belongs to the month of its dispatch, whole, at the boundary too', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, [
      { at: '2026-10-31T23:59:59.999Z', tierPrice: '1', raw: '0' },
      { at: '2026-11-01T00:00:00.000Z', tierPrice: '2', raw: '0' },
    ])
    expect((await runRow(customer, await freezeOctober(customer))).totalCents).toBe(100n)
    const november = await freezeInvoiceRun({ workspaceId: customer.workspaceId, month: NOVEMBER, now: DECEMBER_TIME })
    const { totalCents, lines } = await runRow(customer, november?.runId ?? '')
    expect([totalCents, lines.map((line) => line.usageMonth)]).toEqual([200n, ['2026-11']])
  })

  test('case 75: usage of a leap day is February’s', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, [
      { at: '2028-02-29T23:59:59.999Z', tierPrice: '1', raw: '0' },
      { at: '2028-03-01T00:00:00.000Z', tierPrice: '2', raw: '0' },
    ])
    const [february, now] = [parseMonth('2028-02'), new Date('2028-03-03T02:00:00Z')]
    const frozen = await freezeInvoiceRun({ workspaceId: customer.workspaceId, month: february, now })
    const { totalCents, lines } = await runRow(customer, frozen?.runId ?? '')
    expect([totalCents, lines.map((line) => line.usageMonth)]).toEqual([100n, ['2028-02']])
  })

  test('case 82: calls of three closed months that come late are lines of one invoice, and no invoice of before changes', async () => {
    const customer = await makeCustomer(world)
    const { workspaceId } = customer
    const months = ['2026-07', '2026-08', '2026-09']
    const calls = (price: string) =>
      months.map((month) => ({ at: `${month}-15T12:00:00.000Z`, tierPrice: price, raw: '0' }))
    await recordUsage(workspaceId, calls('1'))
    const closed: string[] = []
    for (const month of months) {
      const frozen = await freezeInvoiceRun({ workspaceId, month: parseMonth(month), now: CLOSE_TIME })
      expect(await write(customer, frozen?.runId ?? '')).toBe('done')
      closed.push(frozen?.runId ?? '')
    }
    const before = await Promise.all(closed.map((runId) => runRow(customer, runId)))
    await recordUsage(workspaceId, [...calls('2'), ...OCTOBER_USAGE])
    const runId = await freezeOctober(customer)
    expect(await write(customer, runId)).toBe('done')
    const late = (await runRow(customer, runId)).lines.filter((line) => line.description.includes('late usage'))
    expect(late.map((line) => [line.usageMonth, line.amountCents])).toEqual(months.map((month) => [month, 200n]))
    expect(await Promise.all(closed.map((id) => runRow(customer, id)))).toEqual(before)
    const invoices = stripeInvoices(world, customer)
    expect(invoices.map((invoice) => invoice.runId)).toEqual([...closed, runId])
    const { status_transitions } = await world.stripe.invoices.retrieve(invoices[3]?.id ?? '')
    expect(status_transitions.finalized_at).toBeGreaterThanOrEqual(CLOSE_TIME.getTime() / 1000)
  })

  test('case 64: ten thousand calls of $0.0000001 come through the ledger to $0.001 exactly', async () => {
    const customer = await makeCustomer(world)
    const tiny = Array.from({ length: 10_000 }, () => ({ tierPrice: '0.0000001', raw: '0' }))
    await recordUsage(customer.workspaceId, [...tiny, { tierPrice: '1', raw: '0' }])
    const { calls, exactPico, totalCents, closingResiduePico } = await runRow(customer, await freezeOctober(customer))
    expect([calls, exactPico.toFixed(0), totalCents]).toEqual([10_001n, '1001000000000', 100n])
    expect(closingResiduePico.toFixed(0)).toBe('1000000000')
  })

  test('a call whose cost never became known is billed 0 and flagged, never at tier price (stripe §2.8)', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, [
      { tierPrice: '9', raw: null },
      { tierPrice: '1', raw: '0' },
    ])
    const run = await runRow(customer, await freezeOctober(customer))
    expect(run.totalCents).toBe(100n)
    const { rows } = await world.db.owner.query(
      'SELECT reason, charge_pico FROM metering.call_corrections WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    expect(rows).toEqual([{ reason: 'cost_cutoff', charge_pico: '0' }])
  })

  test('case 20: zero makes no Stripe invoice; case 21: under the minimum is carried and billed once it suffices', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, [{ tierPrice: '1', raw: '3' }])
    const zero = await freezeOctober(customer)
    expect(await write(customer, zero)).toBe('done_zero')
    const admin = await makeMember(customer.workspaceId, 'billing_admin')
    const statement = await getStatement(admin, zero)
    expect(statement.invoice).toMatchObject({ state: 'done_zero', totalCents: '0', stripeInvoiceNumber: null })
    expect(statement.invoice.lines).toMatchObject([{ calls: '1', amountCents: '0', exactPico: '0' }])
    const small = await makeCustomer(world)
    await recordUsage(small.workspaceId, [{ tierPrice: '0.30', raw: '0' }])
    expect(await write(small, await freezeOctober(small))).toBe('carried')
    expect(stripeInvoices(world, customer)).toEqual([])
    expect(stripeInvoices(world, small)).toEqual([])
    await recordUsage(small.workspaceId, [{ at: '2026-11-10T00:00:00.000Z', tierPrice: '0.30', raw: '0' }])
    const november = await freezeInvoiceRun({ workspaceId: small.workspaceId, month: NOVEMBER, now: DECEMBER_TIME })
    expect(await write(small, november?.runId ?? '', () => DECEMBER_TIME)).toBe('done')
    expect(stripeInvoices(world, small)[0]?.amounts.toSorted()).toEqual([30, 30])
  })

  test('a month that is not over is refused, and one without calls makes no run', async () => {
    const customer = await makeCustomer(world)
    await expect(
      freezeInvoiceRun({ workspaceId: customer.workspaceId, month: NOVEMBER, now: CLOSE_TIME }),
    ).rejects.toMatchObject({
      code: 'month_not_over',
    })
    expect(await freezeInvoiceRun({ workspaceId: customer.workspaceId, month: OCTOBER, now: CLOSE_TIME })).toBeNull()
  })

  test('the fan-out finds every open month up to the one named, once', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, [
      ...OCTOBER_USAGE,
      { at: '2026-09-02T00:00:00.000Z', tierPrice: '2', raw: '0' },
    ])
    const mine = async () =>
      (await closeMonth(OCTOBER)).filter((open) => open.workspaceId === customer.workspaceId).map((open) => open.month)
    expect(await mine()).toEqual(['2026-09', '2026-10'])
    expect(await mine()).toEqual(['2026-09', '2026-10'])
    const { rows } = await world.db.owner.query(
      "SELECT count(*)::int AS n FROM graphile_worker.jobs WHERE key LIKE 'close:' || $1 || ':%'",
      [customer.workspaceId],
    )
    expect(rows[0]).toEqual({ n: 2 })
    await freezeOctober(customer)
    expect(await mine()).toEqual(['2026-09'])
  })

  test('case 78: the calls, counted again one by one, come to the frozen lines and hash', async () => {
    const customer = await makeCustomer(world)
    const admin = await makeMember(customer.workspaceId, 'billing_admin')
    await recordUsage(customer.workspaceId, [...OCTOBER_USAGE, { tierPrice: '9', raw: null }])
    const runId = await freezeOctober(customer)
    await recordUsage(customer.workspaceId, [{ tierPrice: '7', raw: '0' }])
    const { frozenHash, ...proof } = await verifyInvoice(admin, runId)
    expect(proof).toMatchObject({
      recountedHash: frozenHash,
      recountedCalls: '4',
      recountedExactPico: '20745000000000',
    })
    const other = await makeMember((await makeCustomer(world)).workspaceId, 'owner')
    await expect(verifyInvoice(other, runId)).rejects.toMatchObject({ kind: 'not_found' })
  })

  test('a database restored to before the close finds its invoice in Stripe and makes no second one', async () => {
    const customer = await makeCustomer(world)
    await recordUsage(customer.workspaceId, OCTOBER_USAGE)
    await write(customer, await freezeOctober(customer))
    await world.db.owner.query(`
      BEGIN; SET LOCAL session_replication_role = replica;
      DELETE FROM stripe_operations WHERE workspace_id = '${customer.workspaceId}';
      DELETE FROM invoice_day_digests WHERE workspace_id = '${customer.workspaceId}';
      DELETE FROM invoice_lines WHERE workspace_id = '${customer.workspaceId}';
      DELETE FROM invoice_runs WHERE workspace_id = '${customer.workspaceId}';
      DELETE FROM metering.closed_months WHERE workspace_id = '${customer.workspaceId}'; COMMIT`)
    world.sandbox.control.advanceClock(25 * 3_600_000)
    const runId = await freezeOctober(customer)
    expect(await write(customer, runId)).toBe('done')
    await expectOneInvoice(world, customer, runId)
  })

  test('case 19: 251 distinct lines collapse to 100 on Stripe with the same sum', async () => {
    const customer = await makeCustomer(world)
    const usages = Array.from({ length: 251 }, (_, version) => ({
      tierPrice: `${version + 1}.01`,
      raw: '0',
      priceBookVersion: version + 1,
    }))
    await recordUsage(customer.workspaceId, usages)
    const runId = await freezeOctober(customer)
    expect(await write(customer, runId)).toBe('done')
    expect(stripeInvoices(world, customer)[0]?.amounts).toHaveLength(100)
    await expectOneInvoice(world, customer, runId)
    expect((await runRow(customer, runId)).totalCents).toBe(BigInt((251 * 252) / 2) * 100n + 251n)
  })

  test('frozen lines refuse change, and the sums of all runs follow the ledger', async () => {
    const { rows } = await world.db.owner.query(`
      SELECT r.workspace_id FROM invoice_runs r
      JOIN (SELECT workspace_id, sum(charge_pico) AS owed FROM metering.call_daily_rollups d
            WHERE EXISTS (SELECT FROM metering.closed_months c WHERE c.workspace_id = d.workspace_id AND c.month = d.billing_month)
            GROUP BY 1) ledger USING (workspace_id)
      GROUP BY r.workspace_id, ledger.owed HAVING sum(r.exact_pico) <> ledger.owed`)
    expect(rows).toEqual([])
    await expect(systemPool().query('UPDATE invoice_lines SET amount_cents = 1')).rejects.toThrow(
      'invoice lines are frozen',
    )
    await expect(systemPool().query('DELETE FROM metering.closed_months')).rejects.toThrow('permission denied')
  })
})
