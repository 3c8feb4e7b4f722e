/** A budget that begins in the middle of its window counts every call once, and keeps nobody's calls waiting while it counts. */
import { expect, test } from 'vitest'
import {
  beginWindow,
  type Counts,
  countBefore,
  lockSpending,
} from '#app/domain/budgets/internal/begin-window.server.ts'
import { createBudget } from '#app/domain/budgets/set-budget.server.ts'
import { settleCall } from '#app/domain/ledger/ledger.ts'
import { ensurePartitions, recordCalls } from '#app/domain/ledger/record-calls.server.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { inTenant, systemPool } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { creditOpening, openWith } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000)
const key = { keySource: 'workspace', keyId: newId(), keyVersion: 1, chargeMode: 'tier_margin' } as const
const spend = 5_000_000_000n
const counts: Counts = { scope: 'workspace', scopeId: '', period: 'month', countsOwnKey: true }

async function opened(workspaceId: string, at: Date) {
  await ensurePartitions([at])
  const opening = creditOpening({ workspaceId, id: newId(at), dispatchedAt: at, mostChargePico: null, ...key })
  expect(await openWith(opening)).toBe('opened')
  return opening
}

async function settled(opening: Awaited<ReturnType<typeof opened>>, rawCostPico: bigint | null) {
  const book = (await loadCatalogue()).books.find(({ version }) => version === 1)
  if (!book) throw new Error('no price book 1')
  const none = {
    cacheReadTokens: null,
    cacheWriteTokens: null,
    reasoningTokens: null,
    costClamped: false,
    priceRow: null,
  }
  const reply = {
    httpStatus: 200,
    errorCode: null,
    responseModel: null,
    latencyMs: 1,
    firstByteMs: 1,
    upstreamId: null,
  }
  const cost = {
    rawCostPico,
    costSource: rawCostPico === null ? 'unknown' : 'provider',
    usageSource: 'provider',
  } as const
  const tokens = { inputTokens: 1_000n, outputTokens: 100n }
  const call = settleCall(opening, { origin: 'gateway', status: 'ok', ...tokens, ...none, ...reply, ...cost }, book)
  expect(await recordCalls([call])).toEqual([true])
}

/** What the window should hold: charges and costs of all calls in it, as they stand now. */
async function expected(workspaceId: string, until = 'infinity'): Promise<string> {
  const { rows } = await db.owner.query(
    `SELECT coalesce(sum(coalesce(charge_pico, 0) + coalesce(raw_cost_pico, 0)), 0)::text AS pico FROM metering.calls_now
      WHERE workspace_id = $1 AND dispatched_at >= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AND dispatched_at < $2`,
    [workspaceId, until],
  )
  return rows[0].pico
}

test('calls settled, and costs that become known, between the two looks are counted once', async () => {
  const { id: workspaceId } = await makeWorkspace({})
  await settled(await opened(workspaceId, minutesAgo(30)), spend)
  const held = await opened(workspaceId, minutesAgo(25))
  await settled(held, null)
  const slow = await opened(workspaceId, minutesAgo(20))
  await settled(await opened(workspaceId, minutesAgo(15)), spend)

  const before = await inTenant({ workspaceId }, (tx) => countBefore(tx, workspaceId, counts))
  expect(new Date(before.until)).toEqual(slow.dispatchedAt)
  expect(before.pico).toBe(await expected(workspaceId, before.until))

  await settled(slow, spend)
  await settled(await opened(workspaceId, minutesAgo(0)), spend)
  await systemPool().query(
    `SELECT metering.correct_held_call($1::uuid, $2::timestamptz, $3::uuid, 'cost_resolved', NULL, NULL, 7000, 'generation', 9000, NULL, NULL, 2000)`,
    [workspaceId, held.dispatchedAt, held.id],
  )
  const budgetId = newId()
  const begin = (looked: typeof before | null) =>
    inTenant({ workspaceId }, async (tx) => {
      await lockSpending(tx, workspaceId)
      await beginWindow(tx, workspaceId, budgetId, counts, looked)
    })
  for (const looked of [before, null, { ...before, day: '2020-01-01' }]) {
    await begin(looked)
    const { rows } = await db.owner.query('SELECT spent_pico::text FROM metering.budget_spend WHERE budget_id = $1', [
      budgetId,
    ])
    expect(rows).toEqual([{ spent_pico: await expected(workspaceId) }])
  }
})

test('the long look waits for no call that is being settled, and none waits for it', async () => {
  const { id: workspaceId } = await makeWorkspace({})
  const owner = await makeMember(workspaceId, 'owner')
  await settled(await opened(workspaceId, minutesAgo(30)), spend)
  await db.owner.query('BEGIN')
  await db.owner.query('SELECT metering.lock_ledger_shared($1::uuid)', [workspaceId])
  try {
    const { pico } = await inTenant({ workspaceId }, (tx) => countBefore(tx, workspaceId, counts))
    expect(pico).toBe(await expected(workspaceId))
  } finally {
    await db.owner.query('COMMIT')
  }
  const terms = { name: 'Month', hard: true, limit: '1' }
  const budgetId = await createBudget(owner, { ...terms, ...counts })
  const { rows } = await db.owner.query('SELECT spent_pico::text FROM metering.budget_spend WHERE budget_id = $1', [
    budgetId,
  ])
  expect(rows).toEqual([{ spent_pico: await expected(workspaceId) }])
})

test('a cost that becomes known of an imported call fills no budget', async () => {
  const { id: workspaceId } = await makeWorkspace({})
  const owner = await makeMember(workspaceId, 'owner')
  const held = await opened(workspaceId, minutesAgo(5))
  await settled(held, null)
  const imported = await makeCall(workspaceId, minutesAgo(5), { ...key, rawCostPico: null, costSource: 'unknown' })
  await recordAll([imported])
  const budgetId = await createBudget(owner, { name: 'Month', hard: true, limit: '1', ...counts })
  for (const { id, dispatchedAt } of [imported, held]) {
    const { rows } = await systemPool().query(
      `SELECT metering.correct_held_call($1::uuid, $2::timestamptz, $3::uuid, 'cost_resolved', NULL, NULL, 7000, 'imported', 9000, NULL, NULL, 2000) AS done`,
      [workspaceId, dispatchedAt, id],
    )
    expect(rows).toEqual([{ done: true }])
  }
  const { rows } = await db.owner.query('SELECT spent_pico::text FROM metering.budget_spend WHERE budget_id = $1', [
    budgetId,
  ])
  expect(rows).toEqual([{ spent_pico: '9000' }])
})
