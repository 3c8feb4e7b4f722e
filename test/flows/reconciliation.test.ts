/** Books that should agree are compared, differences stand until they do, and costs that come late are entered once. */
import { describe, expect, test } from 'vitest'
import { reconcileBooks } from '#app/domain/billing/reconcile-books.server.ts'
import { enterCosts } from '#app/domain/ledger/enter-costs.server.ts'
import { importProviderReport } from '#app/domain/ledger/import-provider-report.server.ts'
import type { GenerationReader } from '#app/domain/ledger/sweep-attempts.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const NOW = new Date('2026-10-20T03:00:00Z')
const operator: OperatorCtx = {
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: () => NOW,
  requestId: 'flow',
}
const nobodyAnswers: GenerationReader = async () => ({ kind: 'refused' })
const open = async (kind: string) =>
  (await inSystem((tx) => tx.reconciliationDifference.findMany({ where: { kind, resolvedAt: null } }))).map((row) => ({
    ...row,
    moneyPico: row.moneyPico?.toFixed(0) ?? null,
  }))

async function tamper(sql: string): Promise<void> {
  await db.owner.query('BEGIN')
  await db.owner.query('SET LOCAL session_replication_role = replica')
  await db.owner.query(sql)
  await db.owner.query('COMMIT')
}

describe('nightly', () => {
  test('a daily sum that is not what its calls come to is a difference with its money, until it agrees again', async () => {
    const { id } = await makeWorkspace({})
    await recordAll([await makeCall(id, new Date('2026-10-05T00:00:00Z'))])
    expect(await reconcileBooks(nobodyAnswers, NOW)).toMatchObject({ different: 0 })
    await tamper(`UPDATE metering.call_daily_rollups SET charge_pico = charge_pico + 7 WHERE workspace_id = '${id}'`)
    await reconcileBooks(nobodyAnswers, NOW)
    expect(await reconcileBooks(nobodyAnswers, NOW)).toMatchObject({ different: 1 })
    expect(await open('ledger_rollups')).toMatchObject([{ workspaceId: id, moneyPico: '7' }])
    const alert = () => inSystem((tx) => tx.alert.findFirstOrThrow({ where: { kind: 'books_differ' } }))
    expect(await alert()).toMatchObject({ resolvedAt: null, message: expect.stringContaining('1 of ') })
    await tamper(`UPDATE metering.call_daily_rollups SET charge_pico = charge_pico - 7 WHERE workspace_id = '${id}'`)
    await reconcileBooks(nobodyAnswers, NOW)
    expect(await open('ledger_rollups')).toEqual([])
    expect((await alert()).resolvedAt).toEqual(NOW)
  })

  test('credits that are kept are compared with credits counted from their transfers', async () => {
    const { id } = await makeWorkspace({ planId: 'credits' })
    const grant = newId()
    await db.owner.query(`SELECT metering.grant_credits($1, $2, 'promotional', 'test', 5000, now(), NULL)`, [id, grant])
    expect(await reconcileBooks(nobodyAnswers, NOW)).toMatchObject({ different: 0 })
    await tamper(`UPDATE metering.credit_grants SET available_pico = 4000 WHERE id = '${grant}'`)
    await reconcileBooks(nobodyAnswers, NOW)
    expect(await open('credits')).toMatchObject([{ workspaceId: id, moneyPico: '-1000' }])
    await tamper(`UPDATE metering.credit_grants SET available_pico = 5000 WHERE id = '${grant}'`)
    await reconcileBooks(nobodyAnswers, NOW)
    expect(await open('credits')).toEqual([])
  })

  test('a provider’s report is held against the costs of that account and day, within a hundredth', async () => {
    const { id } = await makeWorkspace({})
    const calls = [1, 2].map((n) =>
      makeCall(id, new Date(`2026-10-1${n}T10:00:00Z`), { provider: 'openrouter', rawCostPico: 3_000_000_000_000n }),
    )
    await recordAll(await Promise.all(calls))
    const report = (usage: string, model = 'm') =>
      importProviderReport(operator, {
        provider: 'openrouter',
        account: 'platform',
        csv: `date,model,usage,requests\n2026-10-11,m,3.01,1\n2026-10-12,${model},${usage},1`,
      })
    expect(await report('3.5')).toEqual({ rows: 2, days: 2 })
    await reconcileBooks(nobodyAnswers, NOW)
    expect(await open('provider_usage')).toMatchObject([
      {
        reference: 'openrouter platform 2026-10-12',
        expected: '3.5 reported by openrouter for 2026-10-12',
        moneyPico: '-500000000000',
      },
    ])
    // The day anew, under the model's other name: what was there of it is replaced, not added to.
    await report('3', 'm-2026')
    await reconcileBooks(nobodyAnswers, NOW)
    expect(await open('provider_usage')).toEqual([])
  })

  test('some calls are asked about again: another cost than the one in the ledger is a difference', async () => {
    const { id } = await makeWorkspace({})
    const call = await makeCall(id, new Date('2026-10-19T10:00:00Z'), {
      costSource: 'provider',
      upstreamId: 'gen-1',
      rawCostPico: 5_000n,
    })
    await recordAll([call])
    const told =
      (costPico: bigint): GenerationReader =>
      async () =>
        ({ kind: 'found', report: { costPico, tokens: null, model: null, cancelled: false } }) as never
    await reconcileBooks(told(6_000n), NOW)
    expect(await open('generation')).toMatchObject([{ reference: call.id, moneyPico: '-1000' }])
    await reconcileBooks(told(5_000n), NOW)
    expect(await open('generation')).toEqual([])
  })
})

describe('a provider’s report with one bad line', () => {
  test('is refused with the number of the line, and stores nothing', async () => {
    const csv = 'date,model,usage,requests\n2026-01-31,m,1,1\n2026-02-31,m,1,1'
    const report = importProviderReport(operator, { provider: 'groq', account: 'platform', csv })
    await expect(report).rejects.toMatchObject({
      code: 'invalid_report',
      message: 'Line 3: date "2026-02-31" is not a day such as 2026-10-31',
    })
    const { rows } = await db.owner.query(`SELECT 1 FROM provider_usage_reports WHERE provider = 'groq'`)
    expect(rows).toEqual([])
  })
})

describe('costs entered by hand', () => {
  test('case 55, case 63: a held call is charged by them once; of a charged one the difference is written once', async () => {
    const { id } = await makeWorkspace({})
    const held = await makeCall(id, new Date('2026-10-05T10:00:00Z'), {
      keySource: 'workspace',
      rawCostPico: null,
      costSource: 'unknown',
    })
    const charged = await makeCall(id, new Date('2026-10-05T11:00:00Z'), {
      keySource: 'workspace',
      rawCostPico: 1_000_000_000n,
    })
    await recordAll([held, charged])
    const csv = `call_id,cost_usd\n${held.id},0.001\n${charged.id},0.002`
    expect(await enterCosts(operator, { csv })).toEqual({ resolved: 1, corrected: 1, unchanged: 0 })
    expect(await enterCosts(operator, { csv })).toEqual({ resolved: 0, corrected: 0, unchanged: 2 })
    const { rows } = await db.owner.query(
      `SELECT charge_pico::text AS charge, cost_source FROM metering.calls_now WHERE id = $1`,
      [held.id],
    )
    expect(rows[0]).toEqual({
      charge: ((held.tierPricePico ?? 0n) - 1_000_000_000n).toString(),
      cost_source: 'imported',
    })
    const entries = await db.owner.query(
      'SELECT charge_after_pico - charge_before_pico AS change FROM metering.call_adjustments WHERE workspace_id = $1',
      [id],
    )
    expect(entries.rows).toEqual([{ change: '-1000000000' }])
    await expect(enterCosts(operator, { csv: `${newId()},1` })).rejects.toMatchObject({ code: 'invalid_costs' })
    await expect(enterCosts(operator, { csv: `${held.id},x` })).rejects.toThrow('Line 1: "x" is not an amount in USD')
    // a file with one bad line enters nothing, and a call cannot have cost two things
    const next = `${charged.id},0.003`
    for (const bad of [`${newId()},1`, `${charged.id},0.004`])
      await expect(enterCosts(operator, { csv: `${next}\n${bad}` })).rejects.toThrow('Line 2: ')
    const after = await db.owner.query('SELECT 1 FROM metering.call_adjustments WHERE workspace_id = $1', [id])
    expect(after.rowCount).toBe(1)
    // the line is the file's, and what is no CSV is said to be none
    await expect(enterCosts(operator, { csv: `call_id,cost_usd\n\n${held.id},x` })).rejects.toThrow('Line 3: "x"')
    await expect(enterCosts(operator, { csv: `${held.id},"1` })).rejects.toThrow('Line 1: this is not CSV')
    // a first line with an amount is no header, and nothing at all is no success
    await expect(enterCosts(operator, { csv: 'gen-123,5' })).rejects.toThrow(
      'Line 1: "gen-123" is not the id of a call',
    )
    await expect(enterCosts(operator, { csv: 'call_id,cost_usd' })).rejects.toMatchObject({ code: 'invalid_costs' })
  })
})
