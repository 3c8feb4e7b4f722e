/** The page "Pricing" goes through a day once, and again as soon as anything about the day has changed. */
import { beforeEach, expect, test } from 'vitest'
import { comparePlan, getCounterfactual } from '#app/domain/analytics/counterfactual.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const DAY = 86_400_000
const daysAgo = (days: number) => new Date(Date.now() - days * DAY)
let owner: Ctx

beforeEach(async () => {
  owner = await makeMember((await makeWorkspace({ planId: 'enterprise' })).id, 'owner')
})

const kept = async () =>
  (
    await db.owner.query(
      'SELECT day::text, state FROM metering.counterfactual_days WHERE workspace_id = $1 ORDER BY day',
      [owner.workspaceId],
    )
  ).rows
const callAt = (days: number, parts = {}) => makeCall(owner.workspaceId, daysAgo(days), parts)
const unpriced = async () => (await getCounterfactual(owner)).sums.others

test('days that have not changed are not gone through again; the one that has is', async () => {
  await recordAll([await callAt(3), await callAt(2), await callAt(1)])
  expect((await unpriced()).calls).toBe(3n)
  const before = await kept()
  expect(before).toHaveLength(3)
  // What is kept is what is read: a mark in it shows.
  await db.owner.query(
    `UPDATE metering.counterfactual_days SET sums = jsonb_set(sums, '{others,calls}', '"1000"') WHERE workspace_id = $1 AND day = (now() AT TIME ZONE 'UTC')::date - 3`,
    [owner.workspaceId],
  )
  await recordAll([await callAt(1)])
  expect((await unpriced()).calls).toBe(1_003n)
  const after = await kept()
  expect(after.map(({ state }, at) => state === before[at].state)).toEqual([true, true, false])
  await recordAll([await callAt(3)])
  expect((await unpriced()).calls).toBe(5n)
})

test('a cost that becomes known, and a surface that becomes a background one, are seen at once', async () => {
  const held = await callAt(2, {
    keySource: 'workspace',
    rawCostPico: null,
    costSource: 'unknown',
    surface: 'document_ocr',
  })
  await recordAll([held])
  expect(await getCounterfactual(owner)).toMatchObject({ unknownCost: [{ model: held.model, calls: '1' }] })
  await systemPool().query(
    `SELECT metering.correct_held_call($1, $2, $3, 'cost_resolved', NULL, NULL, 7, 'imported', $4::bigint, NULL, NULL, $4::bigint - 7)`,
    [owner.workspaceId, held.dispatchedAt, held.id, String(held.tierPricePico)],
  )
  expect(await getCounterfactual(owner)).toMatchObject({ unknownCost: [], sums: { others: { rawCostPico: 7n } } })
  await db.owner.query(`UPDATE surfaces SET background = true WHERE id = 'document_ocr'`)
  try {
    const { sums } = await getCounterfactual(owner)
    expect([sums.background.calls, sums.others.calls]).toEqual([1n, 0n])
  } finally {
    await db.owner.query(`UPDATE surfaces SET background = false WHERE id = 'document_ocr'`)
  }
})

test('a plan with another share counts anew, and both pages use the same sums; days that are out of sight go', async () => {
  await recordAll([await callAt(2, { keySource: 'workspace', rawCostPico: 1_000_000_000n }), await callAt(1)])
  const { scenarios } = await getCounterfactual(owner)
  const compared = await comparePlan(owner)
  expect(compared?.ownKey).toEqual(scenarios.find(({ plan, ownKey }) => plan.id === 'enterprise' && ownKey))
  const [{ state }] = await kept()
  await db.owner.query(`INSERT INTO plans (id, preset, name, rank, platform_charge_mode, workspace_charge_mode, workspace_markup_bp, allowed_providers)
    VALUES ('share', 'markup', 'Share', 9, 'tier', 'markup', 1234, '{*}')`)
  const shares = (await getCounterfactual(owner)).sums.others.sharesPico
  expect([shares.get(1_234), shares.get(0)]).toEqual([123_400_000n + (4_500_000_000n * 1_234n) / 10_000n, 0n])
  expect((await kept())[0].state).not.toBe(state)
  await db.owner.query(`INSERT INTO metering.counterfactual_days VALUES ($1, '2020-01-01', 'x', '{}')`, [
    owner.workspaceId,
  ])
  await recordAll([await callAt(1)])
  await getCounterfactual(owner)
  expect((await kept()).map(({ day }) => day)).not.toContain('2020-01-01')
})
