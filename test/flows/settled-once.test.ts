import { expect, test } from 'vitest'
import type { CallRecord } from '#app/domain/ledger/ledger.ts'
import { openAttempts } from '#app/domain/ledger/open-attempts.server.ts'
import { ensurePartitions, recordCalls } from '#app/domain/ledger/record-calls.server.ts'
import { idTime, newId } from '#app/platform/ids.ts'
import { makeCall } from '#test/call-factory.ts'
import { creditOpening } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const db = useDatabase()

/** Calls of one workspace whose attempts are written, as they would be settled. */
async function openCalls(count: number): Promise<CallRecord[]> {
  const { id: workspaceId } = await makeWorkspace()
  await ensurePartitions([new Date()])
  const model = await makeCall(workspaceId, new Date(), { endpoint: 'chat' })
  const calls = Array.from({ length: count }, (): CallRecord => {
    const id = newId()
    return { ...model, id, dispatchedAt: idTime(id), origin: 'gateway' }
  })
  const { tier, chargeMode } = model
  const openings = calls.map(({ id, dispatchedAt }) =>
    creditOpening({
      workspaceId,
      id,
      dispatchedAt,
      tier,
      chargeMode,
      model: model.model,
      mostChargePico: null,
      mostCostPico: null,
    }),
  )
  expect(await openAttempts(openings)).toEqual(calls.map(() => 'opened'))
  return calls
}

async function ledgerOf(workspaceId: string | undefined) {
  const { rows } = await db.owner.query(
    `SELECT (SELECT count(*)::int FROM metering.inference_calls WHERE workspace_id = $1) AS calls,
       (SELECT sum(calls)::int FROM metering.call_daily_rollups WHERE workspace_id = $1) AS rolled,
       (SELECT count(*)::int FROM metering.attempts WHERE workspace_id = $1) AS open`,
    [workspaceId],
  )
  return rows[0]
}

test('of two batches that settle the same calls at the same time each call is taken once, and no attempt is left', async () => {
  for (let round = 0; round < 15; round += 1) {
    const calls = await openCalls(20)
    const [one, other] = await Promise.all([recordCalls(calls), recordCalls(calls)])
    expect(calls.map((_, index) => Number(one[index]) + Number(other[index]))).toEqual(calls.map(() => 1))
    expect(await ledgerOf(calls[0]?.workspaceId)).toEqual({ calls: 20, rolled: 20, open: 0 })
  }
})

test('a call that stands twice in one batch is taken once', async () => {
  const [first, second] = (await openCalls(2)) as [CallRecord, CallRecord]
  expect(await recordCalls([first, second, first])).toEqual([true, true, false])
  expect(await ledgerOf(first.workspaceId)).toEqual({ calls: 2, rolled: 2, open: 0 })
})

test('an attempt whose call is in the ledger already goes, and is not counted again', async () => {
  const [call] = (await openCalls(1)) as [CallRecord]
  expect(await recordCalls([call])).toEqual([true])
  await openAttempts([
    creditOpening({ ...call, promptTokensEstimate: 1, mostChargePico: null, mostCostPico: null, keyEpoch: 0n }),
  ])
  expect(await ledgerOf(call.workspaceId)).toMatchObject({ open: 1 })
  expect(await recordCalls([call])).toEqual([false])
  expect(await ledgerOf(call.workspaceId)).toEqual({ calls: 1, rolled: 1, open: 0 })
})

test('another workspace’s attempt is not settled, whoever names its id', async () => {
  const [call] = (await openCalls(1)) as [CallRecord]
  const { id: elsewhere } = await makeWorkspace()
  expect(await recordCalls([{ ...call, workspaceId: elsewhere }])).toEqual([false])
  expect(await ledgerOf(call.workspaceId)).toEqual({ calls: 0, rolled: null, open: 1 })
})
