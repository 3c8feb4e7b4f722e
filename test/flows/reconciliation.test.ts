/** Books that should agree are compared, and differences stand until they do. */
import { describe, expect, test } from 'vitest'
import { writeOffDifference } from '#app/domain/billing/differences.server.ts'
import { reconcileBooks } from '#app/domain/billing/reconcile-books.server.ts'
import { importProviderReport } from '#app/domain/ledger/import-provider-report.server.ts'
import type { GenerationReader } from '#app/domain/ledger/sweep-attempts.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'
import { NOW, nobodyAnswers, open, operator } from './reconciliation-ground.ts'

const db = useDatabase()

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
