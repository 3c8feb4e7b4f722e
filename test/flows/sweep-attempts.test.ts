import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Heartbeat, startHeartbeat } from '#app/domain/jobs/heartbeat.server.ts'
import { settleCall } from '#app/domain/ledger/ledger.ts'
import { noteProgress, type Opening, openAttempt } from '#app/domain/ledger/open-attempts.server.ts'
import { ensurePartitions, recordCalls } from '#app/domain/ledger/record-calls.server.ts'
import { type GenerationReader, sweepAttempts } from '#app/domain/ledger/sweep-attempts.server.ts'
import { nothingUsed } from '#app/domain/ledger/usage-outcome.ts'
import type { PriceBook } from '#app/domain/pricing/pricing.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { env } from '#app/platform/env.server.ts'
import { idTime, newId } from '#app/platform/ids.ts'
import { useDatabase } from '#test/database.ts'
import { makeGatewayToken, makeMember, makeWorkspace } from '#test/factories.ts'
import { until } from '#test/gateway.ts'
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

function openingOf(over: Partial<Opening> & { workspaceId: string }): Opening {
  const id = newId()
  const dispatch = { id, dispatchedAt: idTime(id), tokenId: null, surface: 'agent_run', provider: 'openrouter' }
  const asked = { model: 'openai/gpt-5-mini', upstreamModel: null, endpoint: 'chat', fallbackOf: null } as const
  const price = { tier: 'balanced', chargeMode: 'tier', priceBookVersion: 1, promptTokensEstimate: 10 } as const
  const key = { keySource: 'platform', keyId: null, keyVersion: null, keyEpoch: 0n } as const
  const most = { markupBp: null, mostChargePico: 0n, mostCostPico: 0n }
  return { ...dispatch, ...asked, ...price, ...key, ...most, streamed: false, processId: 'silent', ...over }
}

async function leaveOpen(over: Partial<Opening> = {}): Promise<string> {
  const opening = openingOf({ workspaceId: over.workspaceId ?? (await makeWorkspace({ planId: 'pro' })).id, ...over })
  expect(await openAttempt(opening)).toBe('opened')
  return opening.id
}

/** An attempt is gone exactly when its call is in the ledger. */
const stateOf = async (id: string) => {
  const count = async (table: string, column: string) =>
    (await db.owner.query(`SELECT FROM metering.${table} WHERE ${column} = $1`, [id])).rowCount
  const counts = [await count('attempts', 'call_id'), await count('inference_calls', 'id')]
  return { '1,0': 'open', '0,1': 'settled' }[String(counts)] ?? counts
}

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

test('those that have to wait keep no younger one from being settled', async () => {
  await db.owner.query('DELETE FROM metering.attempts') // of the tests before
  const { id: workspaceId } = await makeWorkspace({ planId: 'pro' })
  const many = Array.from({ length: 450 }, () => leaveOpen({ workspaceId }))
  const waiting = await Promise.all(many)
  const known = await leaveOpen({ workspaceId })
  await noteUntilKept(known, 'gen-known')
  const found: GenerationReader = async () => ({ kind: 'found', report: { tokens, costPico: 9n } as never })
  expect(await sweepAttempts(found, later(2 * MINUTE))).toEqual({ settled: 1, waiting: 450 })
  expect([await stateOf(waiting[0] as string), await stateOf(known)]).toEqual(['open', 'settled'])

  // With no time at all a sweep gets nowhere; with little, the next takes up where it stopped instead of at the beginning.
  expect(await sweepAttempts(refused, later(21 * MINUTE), -1)).toEqual({ settled: 0, waiting: 0 })
  let settled = 0
  for (let sweeps = 0; settled < 450 && sweeps < 100; sweeps += 1)
    settled += (await sweepAttempts(refused, later(21 * MINUTE), 40 * (1 + sweeps))).settled
  expect(settled).toBe(450)
})

test('what the provider recorded counts, also of a model that the catalogue does not hold', async () => {
  const key = { keySource: 'workspace', keyId: newId(), keyVersion: 1, chargeMode: 'pass_through' } as const
  const id = await leaveOpen({ ...key, model: 'somebody/unheard-of', tier: 'none' })
  await noteUntilKept(id, 'gen-unlisted')
  const found: GenerationReader = async () => ({ kind: 'found', report: { tokens, costPico: 9n } as never })
  expect(await sweepAttempts(found, later(2 * MINUTE))).toMatchObject({ settled: 1 })
  const { rows } = await db.owner.query(
    'SELECT usage_source, cost_source, raw_cost_pico, input_tokens, charge_pico FROM metering.inference_calls WHERE id = $1',
    [id],
  )
  const known = { usage_source: 'generation', cost_source: 'generation', raw_cost_pico: '9' }
  expect(rows).toEqual([{ ...known, input_tokens: '10', charge_pico: '0' }])
})

test('a bill that no column can hold leaves no call open for ever: its cost is unknown', async () => {
  const key = { keySource: 'workspace', keyId: newId(), keyVersion: 1, chargeMode: 'pass_through' } as const
  const id = await leaveOpen({ ...key, model: 'somebody/unheard-of', tier: 'none' })
  await noteUntilKept(id, 'gen-dear')
  const found: GenerationReader = async () => ({ kind: 'found', report: { tokens, costPico: 10n ** 40n } as never })
  expect(await sweepAttempts(found, later(2 * MINUTE))).toMatchObject({ settled: 1 })
  const { rows } = await db.owner.query(
    'SELECT cost_source, raw_cost_pico, input_tokens FROM metering.inference_calls WHERE id = $1',
    [id],
  )
  expect(rows).toEqual([{ cost_source: 'unknown', raw_cost_pico: null, input_tokens: '10' }])
})

const tokens = { input: 10, output: 5, cacheRead: 0, cacheWrite: 0, reasoning: 0 }

async function noteUntilKept(callId: string, upstreamId: string): Promise<void> {
  noteProgress({ callId, upstreamId, relayedBytes: 0 })
  const kept = 'SELECT FROM metering.attempts WHERE call_id = $1 AND upstream_id = $2'
  await until(async () => (await db.owner.query(kept, [callId, upstreamId])).rowCount === 1, 'the note')
}

describe('a call decided on facts that no longer hold is not opened', () => {
  test('its workspace has changed plan, keys or settings since', async () => {
    const { id: workspaceId } = await makeWorkspace({ planId: 'pro' })
    const [before, unknown] = [await leaveOpen({ workspaceId }), openingOf({ workspaceId: newId() })] as const
    expect(await openAttempt(unknown)).toBe('stale')
    await db.owner.query('UPDATE workspaces SET key_epoch = key_epoch + 1 WHERE id = $1', [workspaceId])
    const late = openingOf({ workspaceId })
    const fresh = openingOf({ workspaceId, keyEpoch: 1n })
    expect(await Promise.all([openAttempt(late), openAttempt(fresh)])).toEqual(['stale', 'opened'])
    expect([await stateOf(before), await stateOf(late.id), await stateOf(fresh.id)]).toEqual(['open', [0, 0], 'open'])
  })

  test('its token was revoked since, or belongs to somebody else', async () => {
    const { id: workspaceId } = await makeWorkspace({ planId: 'pro' })
    const member = await makeMember(workspaceId, 'owner')
    await makeGatewayToken(member)
    const { rows } = await db.owner.query('SELECT id FROM gateway_tokens WHERE workspace_id = $1', [workspaceId])
    const tokenId = rows[0].id as string
    const foreign = openingOf({ workspaceId: (await makeWorkspace({ planId: 'pro' })).id, tokenId })
    expect(await Promise.all([openAttempt(openingOf({ workspaceId, tokenId })), openAttempt(foreign)])).toEqual([
      'opened',
      'stale',
    ])
    await db.owner.query('UPDATE gateway_tokens SET revoked_at = now() WHERE id = $1', [tokenId])
    expect(await openAttempt(openingOf({ workspaceId, tokenId }))).toBe('stale')
  })

  test('opening the same attempt again is no second one, and not stale', async () => {
    const { id: workspaceId } = await makeWorkspace({ planId: 'pro' })
    const opening = openingOf({ workspaceId })
    expect([await openAttempt(opening), await openAttempt(opening)]).toEqual(['opened', 'opened'])
    expect(await stateOf(opening.id)).toBe('open')
  })
})

describe('settling', () => {
  const book = async () => (await loadCatalogue()).books.find(({ version }) => version === 1) as PriceBook
  const used = { ...nothingUsed, status: 'ok', httpStatus: 200, errorCode: null, responseModel: 'a "b" {c}\\' } as const
  const outcome = { ...used, origin: 'gateway', latencyMs: 1, firstByteMs: null, upstreamId: null } as const

  test('tells of each call, in order, whether it was taken, and takes each once', async () => {
    const { id: workspaceId } = await makeWorkspace({ planId: 'pro' })
    const openings = [1, 2, 3].map(() => openingOf({ workspaceId, upstreamModel: 'gpt-5-mini', endpoint: 'responses' }))
    const [first, second, never] = openings as [Opening, Opening, Opening]
    await Promise.all([openAttempt(first), openAttempt(second)])
    const record = async (opening: Opening) => settleCall(opening, outcome, await book())
    expect(await recordCalls([await record(first)])).toEqual([true])
    const all = await Promise.all([first, never, second, second].map(record))
    expect((await recordCalls(all)).filter(Boolean).length).toBe(1)
    expect(await recordCalls(all)).toEqual([false, false, false, false])
    expect([await stateOf(first.id), await stateOf(second.id), await stateOf(never.id)]).toEqual([
      'settled',
      'settled',
      [0, 0],
    ])
    const { rows } = await db.owner.query('SELECT * FROM metering.inference_calls WHERE id = $1', [first.id])
    expect(rows[0]).toMatchObject({
      response_model: used.responseModel,
      upstream_model: 'gpt-5-mini',
      endpoint: 'responses',
      dispatched_at: first.dispatchedAt,
      origin: 'gateway',
    })
  })

  test('goes to the first open month where its own is closed', async () => {
    const { id: workspaceId } = await makeWorkspace({ planId: 'pro' })
    const opening = openingOf({ workspaceId })
    await openAttempt(opening)
    const month = `${opening.dispatchedAt.toISOString().slice(0, 7)}-01`
    await db.owner.query('INSERT INTO metering.closed_months (workspace_id, month) VALUES ($1, $2)', [
      workspaceId,
      month,
    ])
    expect(await recordCalls([settleCall(opening, outcome, await book())])).toEqual([true])
    const { rows } = await db.owner.query(
      `SELECT (c.billing_month = $2::date + interval '1 month') AS late, (r.billing_month = c.billing_month) AS rolled
         FROM metering.inference_calls c JOIN metering.call_daily_rollups r USING (workspace_id) WHERE c.id = $1`,
      [opening.id, month],
    )
    expect(rows).toEqual([{ late: true, rolled: true }])
  })
})
