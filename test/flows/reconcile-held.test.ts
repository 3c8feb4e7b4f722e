import { expect, test } from 'vitest'
import { reconcileHeldCalls } from '#app/domain/ledger/reconcile-held-calls.server.ts'
import type { GenerationReader } from '#app/domain/ledger/sweep-attempts.server.ts'
import { parsePico } from '#app/platform/pico.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const db = useDatabase()

const tokens = { input: 1_000, output: 100, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const report = { tokens, costPico: parsePico('0.001') ?? null, model: null, cancelled: false }

test('however many newer calls never resolve, an older one is asked about and its margin booked', async () => {
  const { id } = await makeWorkspace()
  const held = (upstreamId: string, minutesAgo: number) =>
    makeCall(id, new Date(Date.now() - minutesAgo * 60_000), {
      keySource: 'workspace',
      rawCostPico: null,
      costSource: 'unknown',
      upstreamId,
    })
  const newer = await Promise.all(Array.from({ length: 501 }, (_, index) => held(`gen-gone-${index}`, 1)))
  await recordAll([await held('gen-found', 90), ...newer])
  const read: GenerationReader = async ({ upstreamId }) =>
    upstreamId === 'gen-found' ? { kind: 'found', report } : { kind: 'refused' }
  expect(await reconcileHeldCalls(read, new Date())).toBe(1)
  expect(await reconcileHeldCalls(read, new Date())).toBe(0)
  const { rows } = await db.owner.query('SELECT reason, raw_cost_pico FROM metering.call_corrections')
  expect(rows).toEqual([{ reason: 'cost_resolved', raw_cost_pico: '1000000000' }])
})
