/** What is noted of an open attempt while it is settled neither holds the settlement up nor keeps credits held. */
import { expect, test } from 'vitest'
import type { CallRecord } from '#app/domain/ledger/ledger.ts'
import { openAttempts } from '#app/domain/ledger/open-attempts.server.ts'
import { ensurePartitions, recordCalls } from '#app/domain/ledger/record-calls.server.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { idTime, newId } from '#app/platform/ids.ts'
import { makeCall } from '#test/call-factory.ts'
import { creditOpening, expectBooksAgree, grant, purseOf } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const price = 1_000_000n

async function openCalls(count: number): Promise<CallRecord[]> {
  const { id: workspaceId } = await makeWorkspace()
  await ensurePartitions([new Date()])
  await grant(db, workspaceId, 1_000_000_000_000n)
  const model = await makeCall(workspaceId, new Date(), { endpoint: 'chat' })
  const calls = Array.from({ length: count }, (): CallRecord => {
    const id = newId()
    const dispatchedAt = idTime(id)
    const paid = { chargeMode: 'credits', tierPricePico: price, creditPico: price, chargePico: 0n } as const
    return { ...model, ...paid, id, dispatchedAt, origin: 'gateway' }
  })
  const openings = calls.map(({ id, dispatchedAt, model: name, tier }) =>
    creditOpening({ workspaceId, id, dispatchedAt, tier, model: name, mostChargePico: 2n * price }),
  )
  expect(await openAttempts(openings)).toEqual(calls.map(() => 'opened'))
  return calls
}

const note = (calls: CallRecord[]) =>
  systemPool().query('SELECT metering.note_progress($1, $2, $3)', [
    calls.map(({ id }) => id),
    calls.map(() => 'gen-1'),
    calls.map(() => '1'),
  ])

/** A transaction that holds the attempts of some calls, until it is told to end. */
async function holding(calls: CallRecord[]): Promise<() => Promise<void>> {
  const client = await systemPool().connect()
  await client.query('BEGIN')
  await client.query('UPDATE metering.attempts SET relayed_bytes = 7 WHERE call_id = ANY ($1::uuid[])', [
    calls.map(({ id }) => id),
  ])
  return async () => {
    await client.query('COMMIT')
    client.release()
  }
}

const waiting = (name: string) =>
  db.owner
    .query(
      `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE $1`,
      [`%${name}%`],
    )
    .then(({ rowCount }) => rowCount)

test('an attempt that is noted in the same moment is settled with its credits', async () => {
  const calls = await openCalls(4)
  const workspaceId = calls[0]?.workspaceId as string
  const release = await holding(calls)
  const settled = recordCalls(calls)
  await expect.poll(() => waiting('settle_calls')).toBe(1)
  await release()
  expect(await settled).toEqual(calls.map(() => true))
  expect(await purseOf(db, workspaceId)).toMatchObject({ held: 0n, spent: 4n * price, shortfall: 0n })
  const { rowCount } = await db.owner.query('SELECT FROM metering.attempts WHERE workspace_id = $1', [workspaceId])
  expect(rowCount).toBe(0)
  await expectBooksAgree(db, workspaceId)
})

test('a batch that is settled and a batch that is noted never wait for each other in a circle', async () => {
  const calls = (await openCalls(3)) as [CallRecord, CallRecord, CallRecord]
  const [, middle] = calls
  const release = await holding([middle])
  const settled = recordCalls(calls)
  await expect.poll(() => waiting('settle_calls')).toBe(1)
  // It holds the first now and waits for the middle one; whoever notes held the last, and would wait for the first.
  await note([...calls].reverse())
  await release()
  expect(await settled).toEqual([true, true, true])
})
