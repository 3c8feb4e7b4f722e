/** A frozen invoice can be recomputed by anybody, and whatever was tampered with is named. */
import { describe, expect, test } from 'vitest'
import { computeInvoice } from '#app/domain/billing/compute-invoice.ts'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { currentTerms, gatherMonth, storeTerms } from '#app/domain/billing/internal/invoice-input.server.ts'
import { describeFinding } from '#app/domain/billing/proof.ts'
import { resolveInvoiceRun } from '#app/domain/billing/release-invoice-run.server.ts'
import { replayInvoice } from '#app/domain/billing/replay-invoice.server.ts'
import { holdInvoiceRun } from '#app/domain/billing/review-invoice.server.ts'
import { sealInvoiceRun } from '#app/domain/billing/seal-invoice-run.server.ts'
import { verifyAnyInvoice, verifyInvoice } from '#app/domain/billing/verify-invoice.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { formerRules } from '#app/domain/pricing/currency.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'
import {
  billingWorld,
  CLOSE_TIME,
  type Customer,
  clock,
  freezeOctober,
  makeCustomer,
  OCTOBER,
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

/** Sixty calls over three days, on both keys. */
async function withCalls(): Promise<{ customer: Customer; ids: string[] }> {
  const customer = await makeCustomer(world)
  const calls = await Promise.all(
    Array.from({ length: 60 }, (_, n) =>
      makeCall(customer.workspaceId, new Date(`2026-10-${10 + (n % 3)}T${String(n % 24).padStart(2, '0')}:00:00Z`), {
        ...(n % 2 ? { keySource: 'workspace', rawCostPico: 1_000_000_000n * BigInt(n) } : {}),
        inputTokens: BigInt(100_000 + n),
        outputTokens: BigInt(5_000 * n),
      }),
    ),
  )
  await recordAll(calls)
  return { customer, ids: calls.map((call) => call.id) }
}

async function closed() {
  const { customer, ids } = await withCalls()
  const runId = await freezeOctober(customer)
  expect(await write(customer, runId)).toBe('done')
  const admin = await makeMember(customer.workspaceId, 'billing_admin')
  return { customer, ids, runId, verify: () => verifyInvoice(admin, runId) }
}

/** As somebody with the owner's password could: past triggers and rules. */
async function tamper(sql: string): Promise<void> {
  await world.db.owner.query('BEGIN')
  await world.db.owner.query('SET LOCAL session_replication_role = replica')
  await world.db.owner.query(sql)
  await world.db.owner.query('COMMIT')
}

const said = (proof: { findings: Parameters<typeof describeFinding>[0][] }) =>
  proof.findings.map((finding) => describeFinding(finding, 'usd'))

describe('verifying an invoice', () => {
  test('case 78: a closed month replayed from its raw calls gives the very lines and hashes, in Stripe’s metadata too', async () => {
    const { customer, runId, verify } = await closed()
    const run = await runRow(customer, runId)
    const replayed = await replayInvoice(run)
    expect(replayed).toMatchObject({ linesHash: run.linesHash, totalCents: run.totalCents, calls: 60n })
    expect(replayed.lines.map((line) => line.description)).toEqual(run.lines.map((line) => line.description))
    expect(run.callsHash).toMatch(/^[0-9a-f]{64}$/)
    const proof = await verify()
    expect(proof).toMatchObject({
      equal: true,
      findings: [],
      stripe: 'equal',
      ratedAgain: true,
      recountedCallsHash: run.callsHash,
    })
    const invoice = world.sandbox.world.state.invoices[stripeInvoices(world, customer)[0]?.id ?? '']
    expect(invoice?.metadata.calls_hash).toBe(run.callsHash)
    const byNumber = await verifyAnyInvoice(operator, run.stripeInvoiceNumber ?? '')
    expect(byNumber).toMatchObject({ equal: true, runId })
  })

  test('a call whose charge was changed is named, with what it should be', async () => {
    const { ids, verify } = await closed()
    await tamper(
      `ALTER TABLE metering.inference_calls DROP CONSTRAINT charge_rule; UPDATE metering.inference_calls SET charge_pico = charge_pico + 5 WHERE id = '${ids[7]}'`,
    )
    const proof = await verify()
    expect(proof.equal).toBe(false)
    expect(said(proof)).toContainEqual(
      expect.stringMatching(`^Call ${ids[7]} differs in charge_pico: \\$0\\.\\d+ instead of \\$0\\.\\d+$`),
    )
    expect(proof.findings.filter((one) => one.what === 'call').map((one) => one.reference)).toEqual([ids[7]])
    expect(said(proof)).toContainEqual(expect.stringMatching(/^The daily sum of 2026-10-1\d.* differs in charge_pico/))
    expect(said(proof)).toContainEqual(expect.stringMatching(/^Line 2026-10\/tier_margin.* differs in exactPico/))
  })

  test('a call changed so that all its numbers fit together is named by what was hashed of it', async () => {
    const { ids, verify } = await closed()
    // Cheaper at the provider: every rule holds, only it is not what was billed.
    await tamper(
      `UPDATE metering.inference_calls SET raw_cost_pico = 1, charge_pico = tier_price_pico - 1 WHERE id = '${ids[9]}'`,
    )
    const calls = (await verify()).findings.filter((one) => one.what === 'call')
    expect(calls.map((one) => [one.reference, one.column]).toSorted()).toEqual([
      [ids[9], 'charge_pico'],
      [ids[9], 'raw_cost_pico'],
    ])
  })

  test('a call that is gone, and several that were changed, are told', async () => {
    const { ids, verify } = await closed()
    await tamper(`DELETE FROM metering.inference_calls WHERE id = '${ids[4]}'`)
    const gone = said(await verify())
    expect(gone).toContainEqual('Several calls of 2026-10-11 differ in number of calls: 19 instead of 20')
    expect(gone).toContainEqual(expect.stringContaining(`id …${ids[4]?.slice(-10)} differs in charge_pico`))
    await tamper(`UPDATE metering.inference_calls SET model = 'x' WHERE id IN ('${ids[3]}', '${ids[6]}')`)
    expect(said(await verify())).toContainEqual('Several calls of 2026-10-10 differ in model')
  })

  test('a changed rollup, line, total or digest is named', async () => {
    const { runId, verify } = await closed()
    await tamper(
      `UPDATE metering.call_daily_rollups SET calls = calls + 1 WHERE workspace_id = (SELECT workspace_id FROM invoice_runs WHERE id = '${runId}') AND key_source = 'platform' AND day = '2026-10-12'`,
    )
    expect((await verify()).findings).toMatchObject([{ what: 'rollup', column: 'calls' }])
    await tamper(
      `UPDATE invoice_lines SET exact_pico = exact_pico + 1 WHERE run_id = '${runId}' AND key_source = 'workspace'`,
    )
    expect((await verify()).findings).toContainEqual(
      expect.objectContaining({
        what: 'line',
        reference: '2026-10/tier_margin/balanced/workspace/v1',
        column: 'exactPico',
      }),
    )
    await tamper(`UPDATE invoice_runs SET closing_residue_pico = 7 WHERE id = '${runId}'`)
    expect((await verify()).findings).toContainEqual(
      expect.objectContaining({ what: 'total', column: 'closing_residue_pico' }),
    )
    await tamper(`UPDATE invoice_day_digests SET hash = 'x' WHERE run_id = '${runId}' AND day = '2026-10-10'`)
    expect((await verify()).findings).toContainEqual(
      expect.objectContaining({ what: 'hash', reference: 'digests of the run' }),
    )
  })

  test('a residue that was put in front of an invoice is named, although its lines still come to its total', async () => {
    const { runId, verify } = await closed()
    await tamper(
      `UPDATE invoice_runs SET opening_residue_pico = opening_residue_pico + 3, closing_residue_pico = closing_residue_pico + 3 WHERE id = '${runId}'`,
    )
    expect(said(await verify())).toEqual(['The run differs in opening_residue_pico: $0.000000000003 instead of $0.00'])
  })

  test('a line that Stripe has otherwise is named', async () => {
    const { customer, verify } = await closed()
    const [invoice] = stripeInvoices(world, customer)
    const items = Object.values(world.sandbox.world.state.invoiceItems).filter((item) => item.invoice === invoice?.id)
    const [item] = items
    if (item) item.amount += 1
    expect(await verify()).toMatchObject({ equal: false, stripe: 'different', findings: [{ what: 'stripe' }] })
    if (item) item.amount -= 1
    expect(await verify()).toMatchObject({ equal: true })
  })

  test('they hold it as well where an operator holds it, or resumed it before; what cannot be resumed keeps its reason', async () => {
    const changeCalls = (workspaceId: string) =>
      tamper(
        `UPDATE metering.inference_calls SET raw_cost_pico = 1, charge_pico = tier_price_pico - 1 WHERE workspace_id = '${workspaceId}' AND key_source = 'workspace'`,
      )
    const { customer } = await withCalls()
    const runId = await freezeOctober(customer)
    const of = { workspaceId: customer.workspaceId, runId }
    await holdInvoiceRun(operator, { ...of, reason: 'a look' })
    await resolveInvoiceRun(operator, { ...of, resolution: 'resume' })
    await changeCalls(of.workspaceId)
    expect(await write(customer, runId)).toBe('held')
    expect(await runRow(customer, runId)).toMatchObject({ state: 'held', heldReason: 'recount_differs' })
    expect(stripeInvoices(world, customer)).toEqual([])
    for (const [reason, then] of [
      ['operator_hold', 'recount_differs'],
      ['price_currency', 'price_currency'],
    ] as const) {
      const other = (await withCalls()).customer
      const where = { workspaceId_id: { workspaceId: other.workspaceId, id: await freezeOctober(other) } }
      await inSystem((tx) => tx.invoiceRun.update({ where, data: { state: 'held', heldReason: reason } }))
      await changeCalls(other.workspaceId)
      const { workspaceId, id: heldId } = where.workspaceId_id
      await sealInvoiceRun({ workspaceId, runId: heldId }, CLOSE_TIME)
      expect(await runRow(other, heldId)).toMatchObject({ state: 'held', heldReason: then })
    }
  })

  test('calls that do not come to the frozen lines hold the run before Stripe hears of it', async () => {
    const { customer } = await withCalls()
    const frozen = await freezeInvoiceRun({ workspaceId: customer.workspaceId, month: OCTOBER, now: CLOSE_TIME })
    const runId = frozen?.runId ?? ''
    await tamper(
      `UPDATE metering.inference_calls SET raw_cost_pico = 1, charge_pico = tier_price_pico - 1 WHERE workspace_id = '${customer.workspaceId}' AND key_source = 'workspace'`,
    )
    await sealInvoiceRun({ workspaceId: customer.workspaceId, runId }, CLOSE_TIME)
    expect(await write(customer, runId)).toBe('held')
    expect(await runRow(customer, runId)).toMatchObject({ state: 'held', heldReason: 'recount_differs' })
    expect(stripeInvoices(world, customer)).toEqual([])
    expect(await inSystem((tx) => tx.alert.count({ where: { reference: runId, resolvedAt: null } }))).toBe(1)
  })
})

describe('the currency’s rules may change after an invoice was frozen', () => {
  const usage = [{ tierPrice: '1.2', keySource: 'platform' as const, priceBookVersion: 77 }]
  async function frozenIn(currency: string) {
    const { id: workspaceId } = await makeWorkspace({ planId: 'pro' })
    await inSystem((tx) => tx.workspace.update({ where: { id: workspaceId }, data: { currency } }))
    await recordUsage(workspaceId, usage)
    await freezeInvoiceRun({ workspaceId, month: OCTOBER, now: CLOSE_TIME })
    return inSystem((tx) => tx.invoiceRun.findFirstOrThrow({ where: { workspaceId } }))
  }

  test('it keeps those that it was frozen by', async () => {
    const run = await frozenIn('aed')
    expect(run).toMatchObject({ state: 'carried', totalCents: 0n })
    expect(run.terms).toMatchObject({ rules: { digits: 2, step: '1', minimum: '200' } })
  })

  // A minimum that was mended made every invoice of before look as if somebody had changed it.
  test.each([
    ['aed', 'kept with it', 120n, '0'],
    ['aed', 'of before they were kept', 120n, '0'],
    ['ugx', 'of before they were kept', 1n, '200000000000'],
  ])('one in %s by rules %s is verified by those', async (currency, kept, totalCents, closing) => {
    const { workspaceId, id } = await frozenIn(currency)
    const rules = formerRules[currency]
    const { input } = await inSystem(async (tx) =>
      gatherMonth(tx, workspaceId, OCTOBER, {
        terms: { ...(await currentTerms(tx, workspaceId)), rules: rules ?? null },
      }),
    )
    const then = computeInvoice({ ...input, openingResiduePico: 0n })
    expect([then.totalCents, `${then.closingResiduePico}`]).toEqual([totalCents, closing])
    const terms = storeTerms({
      currency,
      leaving: false,
      fees: [],
      rules: kept === 'kept with it' ? (rules ?? null) : null,
    })
    await tamper(`UPDATE invoice_runs SET total_cents = ${totalCents}, closing_residue_pico = ${closing}, lines_hash = '${then.linesHash}',
      terms = '${JSON.stringify(terms)}' WHERE id = '${id}'; UPDATE invoice_lines SET amount_cents = ${totalCents} WHERE run_id = '${id}'`)
    const admin = await makeMember(workspaceId, 'billing_admin')
    const { findings } = await verifyInvoice(admin, id)
    expect(findings.filter(({ what }) => what === 'line' || what === 'total' || what === 'hash')).toEqual([])
    await tamper(`UPDATE invoice_runs SET total_cents = total_cents + 1 WHERE id = '${id}'`)
    const { findings: found } = await verifyInvoice(admin, id)
    expect(found).toContainEqual(expect.objectContaining({ what: 'total', column: 'total_cents' }))
  })
})
