/** A cost that its provider corrects is kept also where the customer's charge stays as it is, everywhere costs are summed, and on no invoice. */
import { expect, test } from 'vitest'
import { parseCallFilter } from '#app/domain/analytics/analytics.ts'
import { getCounterfactual } from '#app/domain/analytics/counterfactual.server.ts'
import { exportCalls } from '#app/domain/analytics/export-calls.server.ts'
import { getCall, listCalls, readUsage } from '#app/domain/analytics/queries.server.ts'
import { findOpenMonths } from '#app/domain/billing/close-month.server.ts'
import { freezeInvoiceRun } from '#app/domain/billing/freeze-invoice-run.server.ts'
import { checkRollups } from '#app/domain/billing/internal/check-calls.server.ts'
import { previewInvoiceOf } from '#app/domain/billing/preview-invoice.server.ts'
import { reconcileBooks } from '#app/domain/billing/reconcile-books.server.ts'
import { verifyInvoice } from '#app/domain/billing/verify-invoice.server.ts'
import { createBudget } from '#app/domain/budgets/set-budget.server.ts'
import { enterCosts } from '#app/domain/ledger/enter-costs.server.ts'
import { importProviderReport } from '#app/domain/ledger/import-provider-report.server.ts'
import { ensurePartitions, recordCalls } from '#app/domain/ledger/record-calls.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { parseMonth } from '#app/platform/calendar-month.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { creditOpening, openWith } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const OCTOBER = parseMonth('2026-10')
const NOVEMBER = parseMonth('2026-11')
const NOW = new Date('2026-11-20T03:00:00Z')
const operator: OperatorCtx = {
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: () => NOW,
  requestId: 'flow',
}
const dollars = (usd: number) => BigInt(usd) * 1_000_000_000_000n
const enter = (id: string, usd: string) => enterCosts(operator, { csv: `call_id,cost_usd\n${id},${usd}` })
const KEPT = { resolved: 0, corrected: 0, kept: 1, unchanged: 0 }

const october = parseCallFilter(new URLSearchParams('from=2026-10-01&to=2026-10-31'), NOW)
/** Rollups that are not what their calls and entries come to. */
async function apart(workspaceId: string): Promise<number> {
  const { rowCount } = await db.owner.query(
    `SELECT FROM (
       (SELECT * FROM metering.call_daily_recount WHERE workspace_id = $1 EXCEPT ALL SELECT * FROM metering.call_daily_rollups WHERE workspace_id = $1)
       UNION ALL
       (SELECT * FROM metering.call_daily_rollups WHERE workspace_id = $1 EXCEPT ALL SELECT * FROM metering.call_daily_recount WHERE workspace_id = $1)) d`,
    [workspaceId],
  )
  return rowCount ?? 0
}

test('after its month was closed: sums, list, export and report have it, the invoice and its proof stay, the next one tells nothing of it', async () => {
  const { id } = await makeWorkspace({})
  const member = await makeMember(id, 'owner', () => NOW)
  const call = await makeCall(id, new Date('2026-10-17T10:00:00Z'), { provider: 'together', rawCostPico: dollars(1) })
  const other = await makeCall(id, new Date('2026-10-17T11:00:00Z'), { provider: 'together', rawCostPico: dollars(1) })
  await recordAll([call, other])
  const frozen = await freezeInvoiceRun({ workspaceId: id, month: OCTOBER, now: new Date('2026-11-03T02:00:00Z') })
  const run = () =>
    inSystem((tx) => tx.invoiceRun.findFirstOrThrow({ where: { workspaceId: id }, include: { lines: true } }))
  const before = await run()
  const usage = '6'
  await importProviderReport(operator, {
    provider: 'together',
    account: 'platform',
    csv: `date,model,usage\n2026-10-17,m,${usage}`,
  })
  const nobodyAnswers = async () => ({ kind: 'refused' }) as const
  const reports = () =>
    inSystem((tx) => tx.reconciliationDifference.count({ where: { kind: 'provider_usage', resolvedAt: null } }))
  await reconcileBooks(nobodyAnswers, NOW)
  expect(await reports()).toBe(1)

  expect(await enter(call.id, '5')).toEqual(KEPT)
  expect(await enter(call.id, '5')).toEqual({ resolved: 0, corrected: 0, kept: 0, unchanged: 1 })

  const [usageNow, listed, detail] = [
    await readUsage(member, october),
    await listCalls(member, october, { after: null, limit: 10 }),
    await getCall(member, call.id),
  ]
  expect(usageNow.total).toMatchObject({ calls: 2n, rawCostPico: dollars(6), chargePico: usageNow.total.tierPricePico })
  expect(listed.calls.map((one) => [one.rawCostPico, one.correctedCostPico])).toEqual([
    [dollars(1), null],
    [dollars(1), dollars(5)],
  ])
  expect(detail.adjustments).toMatchObject([{ rawCostPico: dollars(5), reason: 'cost_corrected' }])
  const [header = '', ...rows] = (await Array.fromAsync(exportCalls(member, october))).join('').trim().split('\r\n')
  const column = header.split(',').indexOf('corrected_cost_usd')
  expect(rows.map((row) => row.split(',')[column])).toEqual(['', '5'])

  await reconcileBooks(nobodyAnswers, NOW)
  expect(await reports()).toBe(0)
  expect(
    await inSystem((tx) => tx.reconciliationDifference.count({ where: { workspaceId: id, resolvedAt: null } })),
  ).toBe(0)
  expect(await apart(id)).toBe(0)
  expect(await checkRollups(id, OCTOBER, 50)).toEqual([])
  expect(await run()).toEqual(before)
  expect(await verifyInvoice(member, frozen?.runId ?? '')).toMatchObject({ findings: [], equal: true })
  const open = (await inSystem((tx) => findOpenMonths(tx, NOVEMBER))).filter((one) => one.workspaceId === id)
  expect(open).toEqual([])
  await recordAll([await makeCall(id, new Date('2026-11-05T10:00:00Z'))])
  const { invoice } = await previewInvoiceOf(id, NOVEMBER)
  expect(invoice.lines.map((line) => line.kind)).toEqual(['calls'])
})

test('corrected again, and back: the newest counts, each is kept, and the rollups follow', async () => {
  const { id } = await makeWorkspace({})
  const member = await makeMember(id, 'owner', () => NOW)
  const call = await makeCall(id, new Date('2026-10-18T10:00:00Z'), { rawCostPico: dollars(2) })
  await recordAll([call])
  const cost = async () => (await readUsage(member, october)).total.rawCostPico
  for (const usd of ['3', '2', '3', '0']) {
    expect(await enter(call.id, usd)).toEqual(KEPT)
    expect(await cost()).toBe(dollars(Number(usd)))
  }
  expect(await apart(id)).toBe(0)
  const { rows } = await db.owner.query(
    'SELECT raw_cost_before_pico::text AS before, raw_cost_pico::text AS cost FROM metering.call_adjustments WHERE workspace_id = $1 ORDER BY seq',
    [id],
  )
  expect(rows.map((row) => row.cost)).toEqual(['3', '2', '3', '0'].map((usd) => dollars(Number(usd)).toString()))
  expect(rows.map((row) => row.before)).toEqual(['2', '3', '2', '3'].map((usd) => dollars(Number(usd)).toString()))
})

test('a re-rate run that read a cost of before neither puts it back nor charges by it', async () => {
  const { id } = await makeWorkspace({})
  const own = { keySource: 'workspace', keyId: newId(), keyVersion: 1 } as const
  const call = await makeCall(id, new Date('2026-10-18T12:00:00Z'), { ...own, rawCostPico: 1_000_000_000n })
  await recordAll([call])
  expect(await enter(call.id, '0.002')).toEqual({ resolved: 0, corrected: 1, kept: 0, unchanged: 0 })
  const rerate = async (raw: string) => {
    const { rows } = await db.owner.query(
      `SELECT written FROM metering.adjust_calls($1, 're_rate', 'run-1', ARRAY[$2::uuid], ARRAY[$3::timestamptz], ARRAY[2], ARRAY[$4::bigint],
         ARRAY[9000000000], ARRAY[NULL::bigint], ARRAY[9000000000 - $4::bigint])`,
      [id, call.id, call.dispatchedAt, raw],
    )
    return rows[0].written
  }
  expect(await rerate('1000000000')).toBe('0')
  expect(await rerate('2000000000')).toBe('1')
  expect(await apart(id)).toBe(0)
})

test('a cost that is entered while the call is re-rated keeps the new price, whatever was read before', async () => {
  const { id } = await makeWorkspace({})
  const call = await makeCall(id, new Date('2026-10-18T13:00:00Z'), { rawCostPico: 1_000_000_000n })
  await recordAll([call])
  const twice = 2n * (call.tierPricePico ?? 0n)
  const waiting = async () =>
    (await db.owner.query(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 7304 AND NOT granted`))
      .rowCount
  await db.owner.query('BEGIN')
  await db.owner.query('SELECT pg_advisory_xact_lock(7304, hashtext($1))', [id])
  const entered = enter(call.id, '0.002')
  await expect.poll(waiting).toBe(1)
  await db.owner.query(
    `SELECT FROM metering.adjust_calls($1, 're_rate', 'run-2', ARRAY[$2::uuid], ARRAY[$3::timestamptz], ARRAY[2], ARRAY[1000000000],
       ARRAY[$4::bigint], ARRAY[NULL::bigint], ARRAY[$4::bigint])`,
    [id, call.id, call.dispatchedAt, twice],
  )
  await db.owner.query('COMMIT')
  expect(await entered).toEqual(KEPT)
  const { rows } = await db.owner.query(
    'SELECT reason, price_book_version AS book, charge_after_pico::text AS charge FROM metering.call_adjustments WHERE workspace_id = $1 ORDER BY seq',
    [id],
  )
  const priced = { book: 2, charge: twice.toString() }
  expect(rows).toEqual([
    { reason: 're_rate', ...priced },
    { reason: 'cost_corrected', ...priced },
  ])
  expect(await apart(id)).toBe(0)
})

test('a rollup whose corrected cost is not what the entries come to is found', async () => {
  const { id } = await makeWorkspace({})
  const call = await makeCall(id, new Date('2026-10-19T10:00:00Z'), { rawCostPico: dollars(2) })
  await recordAll([call])
  await enter(call.id, '3')
  await db.owner.query(`UPDATE metering.call_daily_rollups SET cost_corrected_pico = 7 WHERE workspace_id = $1`, [id])
  expect(await checkRollups(id, OCTOBER, 50)).toMatchObject([
    { column: 'cost_corrected_pico', expected: dollars(1).toString(), actual: '7' },
  ])
})

test('the comparison of plans reckons with it, call by call, also where two make up for each other', async () => {
  const { id } = await makeWorkspace({})
  const member = await makeMember(id, 'owner', () => NOW)
  const at = (hour: number) => new Date(`2026-11-10T${hour}:00:00Z`)
  const [one, two] = [
    await makeCall(id, at(10), { rawCostPico: 1_000_000_000n }),
    await makeCall(id, at(11), { rawCostPico: 1_000_000_000n }),
  ]
  await recordAll([one, two])
  const tier = one.tierPricePico ?? 0n
  const margin = async () => (await getCounterfactual(member)).sums.others
  expect(await margin()).toMatchObject({ marginPico: 2n * (tier - 1_000_000_000n), flooredCalls: 0n })
  // One of them now costs more than its tier price, the other nothing: the sum of costs would not tell.
  expect(await enter(one.id, '0')).toEqual(KEPT)
  expect(await margin()).toMatchObject({ rawCostPico: 1_000_000_000n })
  expect(await enter(two.id, '10')).toEqual(KEPT)
  expect(await margin()).toMatchObject({ rawCostPico: dollars(10), marginPico: tier, flooredCalls: 1n })
})

test('a budget that counts what the own key costs counts it, whether it was there before or begins after it', async () => {
  const { id: workspaceId } = await makeWorkspace({})
  const owner = await makeMember(workspaceId, 'owner')
  const key = { keySource: 'workspace', keyId: newId(), keyVersion: 1, chargeMode: 'pass_through' } as const
  const at = new Date(Date.now() - 60_000)
  await ensurePartitions([at])
  const terms = {
    scope: 'workspace',
    scopeId: '',
    name: 'Own key',
    period: 'month',
    limit: '1000',
    hard: false,
    countsOwnKey: true,
  } as const
  const early = await createBudget(owner, terms)
  const { keyEpoch } = await inSystem((tx) => tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } }))
  const opening = creditOpening({
    workspaceId,
    id: newId(at),
    dispatchedAt: at,
    mostChargePico: null,
    keyEpoch,
    ...key,
  })
  expect(await openWith(opening)).toBe('opened')
  const call = await makeCall(workspaceId, at, {
    ...key,
    id: opening.id,
    origin: 'gateway',
    rawCostPico: dollars(2),
    costSource: 'provider',
  })
  expect(await recordCalls([call])).toEqual([true])
  expect(await enter(call.id, '5')).toEqual(KEPT)
  const late = await createBudget(owner, terms)
  const { rows } = await db.owner.query(
    'SELECT budget_id::text AS id, spent_pico::text AS spent FROM metering.budget_spend WHERE workspace_id = $1',
    [workspaceId],
  )
  expect(new Map(rows.map((row) => [row.id, row.spent]))).toEqual(
    new Map([early, late].map((id) => [id, dollars(5).toString()])),
  )
})
