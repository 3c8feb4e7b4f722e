/** What providers say they charged, and costs that come late or are corrected: held against the ledger, entered once. */
import { describe, expect, test } from 'vitest'
import { reconcileBooks } from '#app/domain/billing/reconcile-books.server.ts'
import { enterCosts } from '#app/domain/ledger/enter-costs.server.ts'
import { importProviderReport } from '#app/domain/ledger/import-provider-report.server.ts'
import type { GenerationReader } from '#app/domain/ledger/sweep-attempts.server.ts'
import { newId } from '#app/platform/ids.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'
import { NOW, nobodyAnswers, open, operator } from './reconciliation-ground.ts'

const db = useDatabase()

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
