import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Heartbeat, startHeartbeat } from '#app/domain/jobs/heartbeat.server.ts'
import { type AttemptRecord, openAttempt } from '#app/domain/ledger/open-attempts.server.ts'
import { ensurePartitions } from '#app/domain/ledger/record-calls.server.ts'
import { type GenerationReader, sweepAttempts } from '#app/domain/ledger/sweep-attempts.server.ts'
import { env } from '#app/platform/env.server.ts'
import { idTime, newId } from '#app/platform/ids.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'
import { sweepOpenAttempts } from '#workers/tasks/sweep-attempts.ts'

const db = useDatabase()
const MINUTE = 60_000
const later = (ms: number) => new Date(Date.now() + ms)
const refused: GenerationReader = async () => ({ kind: 'refused' })
let heartbeat: Heartbeat
beforeAll(async () => {
  await ensurePartitions([new Date()])
  heartbeat = await startHeartbeat('web')
})
afterAll(() => heartbeat.stop())

async function leaveOpen(over: Partial<AttemptRecord> = {}): Promise<string> {
  const { id: workspaceId } = await makeWorkspace({ planId: 'pro' })
  const id = newId()
  const dispatch = {
    id,
    dispatchedAt: idTime(id),
    workspaceId,
    tokenId: null,
    surface: 'agent_run',
    provider: 'openrouter',
  }
  const price = { tier: 'balanced', chargeMode: 'tier', priceBookVersion: 1, promptTokensEstimate: 10 } as const
  const key = { keySource: 'platform', keyId: null, keyVersion: null } as const
  const model = 'openai/gpt-5-mini'
  await openAttempt({ ...dispatch, ...price, ...key, model, streamed: false, processId: 'silent', ...over })
  return id
}

const stateOf = async (id: string) =>
  (await db.owner.query('SELECT state FROM metering.attempts WHERE call_id = $1', [id])).rows[0]?.state

test('an attempt that cannot be settled keeps no other one open, and the operators hear of it', async () => {
  const broken = await leaveOpen({ priceBookVersion: 99 })
  const good = await leaveOpen()
  await sweepAttempts(refused, later(21 * MINUTE))
  expect([await stateOf(broken), await stateOf(good)]).toEqual(['open', 'settled'])
  const { rows } = await db.owner.query("SELECT reference FROM alerts WHERE kind = 'attempt_not_settled'")
  expect(rows).toEqual([{ reference: broken }])
  await db.owner.query('DELETE FROM metering.attempts WHERE call_id = $1', [broken])
})

test('nothing is estimated while a silent process may still be alive and hold the true usage', async () => {
  const id = await leaveOpen()
  expect(await sweepAttempts(refused, later(2 * MINUTE))).toEqual({ settled: 0, waiting: 1 })
  expect(await sweepAttempts(refused, later(19 * MINUTE))).toEqual({ settled: 0, waiting: 1 })
  expect(await sweepAttempts(refused, later(21 * MINUTE))).toEqual({ settled: 1, waiting: 0 })
  expect(await stateOf(id)).toBe('settled')
})

test('a worker whose clock runs ahead takes no call from a living process', async () => {
  const id = await leaveOpen({ processId: env().processId })
  await sweepOpenAttempts({}, { now: () => later(30 * MINUTE) })
  expect(await stateOf(id)).toBe('open')
})

test('an attempt that the ledger could not charge is refused before anything is sent', async () => {
  await expect(leaveOpen({ chargeMode: 'tier_margin' })).rejects.toMatchObject({ code: '23514' })
})
