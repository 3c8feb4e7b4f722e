/** Books that should agree are compared, differences stand until they do, and costs that come late are entered once. */
import { describe, expect, test } from 'vitest'
import { writeOffDifference } from '#app/domain/billing/differences.server.ts'
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
        expected: '$3.50 reported by OpenRouter for 2026-10-12',
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

describe('a difference of long ago', () => {
  const inApril = new Date('2027-04-20T03:00:00Z')
  test('is looked at again until its cause is gone: daily sums, a provider’s report, one call', async () => {
    const { id } = await makeWorkspace({})
    const at = (hour: number) => new Date(`2026-10-19T${hour}:00:00Z`)
    const asked = { provider: 'deepseek' as const, rawCostPico: 4_000_000_000_000n }
    const spot = await makeCall(id, at(10), { costSource: 'provider', upstreamId: 'gen-2', rawCostPico: 5_000n })
    await recordAll([spot, await makeCall(id, at(11), asked)])
    const told =
      (costPico: bigint): GenerationReader =>
      async ({ upstreamId }) =>
        upstreamId === 'gen-2'
          ? ({ kind: 'found', report: { costPico, tokens: null, model: null, cancelled: false } } as never)
          : { kind: 'refused' }
    const report = (usage: string) =>
      importProviderReport(
        { ...operator, now: () => inApril },
        { provider: 'deepseek', account: 'platform', csv: `date,model,usage\n2026-10-19,m,${usage}` },
      )
    await report('5')
    await tamper(`UPDATE metering.call_daily_rollups SET charge_pico = charge_pico + 7 WHERE workspace_id = '${id}'`)
    await reconcileBooks(told(6_000n), NOW)
    const kinds = ['generation', 'ledger_rollups', 'provider_usage']
    const standing = async () => (await Promise.all(kinds.map(open))).map((rows) => rows.length)
    expect(await standing()).toEqual([1, 1, 1])
    // half a year later: nothing of it is new, and all of it is compared; a provider that does not answer proves nothing
    await reconcileBooks(nobodyAnswers, inApril)
    expect(await standing()).toEqual([1, 1, 1])
    await tamper(`UPDATE metering.call_daily_rollups SET charge_pico = charge_pico - 7 WHERE workspace_id = '${id}'`)
    await report('4')
    expect(await reconcileBooks(told(5_000n), inApril)).toMatchObject({ different: 0 })
    expect(await standing()).toEqual([0, 0, 0])
  })

  test('of a run that was re-issued since has nothing left to compare', async () => {
    const { id } = await makeWorkspace({})
    const gone = newId()
    await db.owner.query(
      `INSERT INTO reconciliation_differences (id, kind, reference, workspace_id, expected, actual, found_at, seen_at)
       VALUES ($1, 'invoice_calls', $2, $3, 'a', 'b', now(), now())`,
      [newId(), gone, id],
    )
    await reconcileBooks(nobodyAnswers, NOW)
    const { rows } = await db.owner.query('SELECT resolution FROM reconciliation_differences WHERE reference = $1', [
      gone,
    ])
    expect(rows).toEqual([{ resolution: 'nothing is left to compare' }])
  })
})

describe('a provider’s report of a key’s own account', () => {
  test('is held against the calls of that key, also when the key is long gone', async () => {
    const { id } = await makeWorkspace({})
    const [keyId, other] = [newId(), newId()]
    const at = new Date('2026-10-18T10:00:00Z')
    const under = (key: string, rawCostPico: bigint | null) =>
      makeCall(id, at, {
        ...{ provider: 'groq' as const, keySource: 'workspace' as const, keyId: key, keyVersion: 1, rawCostPico },
        ...(rawCostPico === null && { costSource: 'unknown' as const }),
      })
    await recordAll([await under(keyId, 2_000_000_000_000n), await under(keyId, null), await under(other, 7n)])
    await db.owner.query(
      `INSERT INTO provider_key_periods (workspace_id, key_id, provider, enabled_from, enabled_to) VALUES ($1, $2, 'groq', $3, $4)`,
      [id, keyId, new Date('2026-10-01'), new Date('2026-10-19')],
    )
    const report = (usage: string) =>
      importProviderReport(operator, {
        ...{ provider: 'groq', account: keyId },
        csv: `date,model,usage\n2026-10-18,m,${usage}`,
      })
    await report('3')
    await reconcileBooks(nobodyAnswers, NOW)
    expect(await open('provider_usage')).toMatchObject([
      {
        reference: `groq ${keyId} 2026-10-18`,
        actual: '$2.00 in the ledger, 1 call without a known cost',
        moneyPico: '-1000000000000',
      },
    ])
    await report('2')
    await reconcileBooks(nobodyAnswers, NOW)
    expect(await open('provider_usage')).toEqual([])
  })
})

describe('costs that an operator corrects', () => {
  const told =
    (costPico: bigint): GenerationReader =>
    async () =>
      ({ kind: 'found', report: { costPico, tokens: null, model: null, cancelled: false } }) as never
  const correct = (id: string, usd: string) => enterCosts(operator, { csv: `call_id,cost_usd\n${id},${usd}` })

  test('close the difference to the provider’s report: of the platform’s account, of a key’s, and of a call that was cut off', async () => {
    const { id } = await makeWorkspace({})
    const keyId = newId()
    const at = (hour: number) => new Date(`2026-10-17T${hour}:00:00Z`)
    const terms = { provider: 'together' as const, tier: 'frontier' as const, inputTokens: 10_000_000n }
    const own = { ...terms, keySource: 'workspace' as const, keyId, keyVersion: 1 }
    const hosted = { ...terms, chargeMode: 'markup' as const, markupBp: 10_000 }
    const call = await makeCall(id, at(10), { ...own, rawCostPico: 2_000_000_000_000n })
    const unknown = await makeCall(id, at(11), { ...own, rawCostPico: null, costSource: 'unknown' })
    const platform = await makeCall(id, at(12), { ...hosted, rawCostPico: 1_000_000_000_000n })
    await recordAll([call, unknown, platform])
    await db.owner.query(
      `INSERT INTO provider_key_periods (workspace_id, key_id, provider, enabled_from) VALUES ($1, $2, 'together', $3)`,
      [id, keyId, new Date('2026-10-01')],
    )
    await db.owner.query(`SELECT metering.cut_off_held_calls($1, '2026-10-01')`, [id])
    for (const [account, usage] of [
      [keyId, '7'],
      ['platform', '3'],
    ] as const)
      await importProviderReport(operator, {
        ...{ provider: 'together', account },
        csv: `date,model,usage\n2026-10-17,m,${usage}`,
      })
    await reconcileBooks(nobodyAnswers, NOW)
    expect((await open('provider_usage')).map((row) => row.moneyPico)).toEqual(['-5000000000000', '-2000000000000'])
    await correct(call.id, '3')
    await correct(platform.id, '3')
    await reconcileBooks(nobodyAnswers, NOW)
    expect(await open('provider_usage')).toMatchObject([
      { actual: '$3.00 in the ledger, 1 call without a known cost', moneyPico: '-4000000000000' },
    ])
    await correct(unknown.id, '4')
    await reconcileBooks(nobodyAnswers, NOW)
    expect(await open('provider_usage')).toEqual([])
  })

  test('are what the provider is asked about the next night: the difference does not come back', async () => {
    const { id } = await makeWorkspace({})
    const call = await makeCall(id, new Date('2026-10-19T10:00:00Z'), {
      ...{ keySource: 'workspace' as const, keyId: newId(), keyVersion: 1, inputTokens: 1_000_000n },
      ...{ costSource: 'provider' as const, upstreamId: 'gen-3', rawCostPico: 5_000n },
    })
    await recordAll([call])
    await reconcileBooks(told(6_000n), NOW)
    expect((await open('generation')).filter((row) => row.workspaceId === id)).toHaveLength(1)
    await correct(call.id, '0.000000006')
    for (let night = 0; night < 2; night++) {
      await reconcileBooks(told(6_000n), NOW)
      expect((await open('generation')).filter((row) => row.workspaceId === id)).toEqual([])
    }
  })
})

describe('writing off', () => {
  test('a difference that grew since it was looked at is refused: nobody decided on that amount', async () => {
    const { id: workspaceId } = await makeWorkspace({})
    await recordAll([await makeCall(workspaceId, new Date('2026-10-06T00:00:00Z'))])
    const grow = () =>
      tamper(
        `UPDATE metering.call_daily_rollups SET charge_pico = charge_pico + 7 WHERE workspace_id = '${workspaceId}'`,
      )
    const found = async () => (await open('ledger_rollups')).filter((row) => row.workspaceId === workspaceId)
    await grow()
    await reconcileBooks(nobodyAnswers, NOW)
    const [looked] = await found()
    if (!looked) throw new Error('no difference was found')
    const seen = { actual: looked.actual, moneyPico: looked.moneyPico ?? '' }
    await grow()
    await reconcileBooks(nobodyAnswers, NOW)
    const writeOff = (what: typeof seen) => writeOffDifference(operator, { id: looked.id, reason: 'known', seen: what })
    await expect(writeOff(seen)).rejects.toMatchObject({ code: 'difference_changed' })
    const [grown] = await found()
    expect(grown).toMatchObject({ id: looked.id, moneyPico: '14' })
    await writeOff({ actual: grown?.actual ?? '', moneyPico: grown?.moneyPico ?? '' })
    expect(await found()).toEqual([])
    await tamper(
      `UPDATE metering.call_daily_rollups SET charge_pico = charge_pico - 14 WHERE workspace_id = '${workspaceId}'`,
    )
  })

  test('daily sums that differ in more rows than are named come to their whole money', async () => {
    const { id } = await makeWorkspace({})
    const models = Array.from({ length: 60 }, (_, n) =>
      makeCall(id, new Date('2026-10-07T00:00:00Z'), { model: `maker/model-${n}` }),
    )
    await recordAll(await Promise.all(models))
    await tamper(`UPDATE metering.call_daily_rollups SET charge_pico = charge_pico + 1 WHERE workspace_id = '${id}'`)
    await reconcileBooks(nobodyAnswers, NOW)
    expect((await open('ledger_rollups')).filter((row) => row.workspaceId === id)).toMatchObject([{ moneyPico: '60' }])
    await tamper(`UPDATE metering.call_daily_rollups SET charge_pico = charge_pico - 1 WHERE workspace_id = '${id}'`)
  })
})

describe('a provider’s report with one bad line', () => {
  test('is refused with the number of the line, and stores nothing', async () => {
    const csv = 'date,model,usage,requests\n2026-01-31,m,1,1\n2026-02-31,m,1,1'
    const report = importProviderReport(operator, { provider: 'xai', account: 'platform', csv })
    await expect(report).rejects.toMatchObject({
      code: 'invalid_report',
      message: 'Line 3: date "2026-02-31" is not a day such as 2026-10-31',
    })
    const { rows } = await db.owner.query(`SELECT 1 FROM provider_usage_reports WHERE provider = 'xai'`)
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
    expect(await enterCosts(operator, { csv })).toEqual({ resolved: 1, corrected: 1, kept: 0, unchanged: 0 })
    expect(await enterCosts(operator, { csv })).toEqual({ resolved: 0, corrected: 0, kept: 0, unchanged: 2 })
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

describe('ten thousand rows of reports', () => {
  test('are held against the ledger at once: only the day that differs is found', async () => {
    const { id } = await makeWorkspace({})
    const at = new Date('2026-10-17T12:00:00Z')
    const cost = { provider: 'novita' as const, rawCostPico: 40_000_000_000_000n }
    await recordAll([await makeCall(id, at, cost)])
    // 250 models on each of 40 days; all of them cost nothing but on the day of the call, and there too little
    await db.owner.query(
      `INSERT INTO provider_usage_reports (provider, account, day, model, cost_pico, requests, input_tokens, output_tokens, imported_by, imported_at)
       SELECT 'novita', 'platform', date '2026-09-11' + d, 'model-' || m, CASE WHEN d = 36 THEN 150000000000 ELSE 0 END, 1, 1, 1, 'test', now()
       FROM generate_series(0, 39) d, generate_series(1, 250) m`,
    )
    await reconcileBooks(nobodyAnswers, NOW)
    expect(await open('provider_usage')).toMatchObject([
      { reference: 'novita platform 2026-10-17', actual: '$40.00 in the ledger', moneyPico: '2500000000000' },
    ])
  })
})
