/** Credits that come and go by themselves, and what people are told and shown of them. */
import { describe, expect, test } from 'vitest'
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { expireCredits } from '#app/domain/credits/expire-credits.server.ts'
import { exportMovements } from '#app/domain/credits/export-movements.server.ts'
import { grantMonthlyCredits } from '#app/domain/credits/grant-monthly-credits.server.ts'
import { grantPromotionalCredits } from '#app/domain/credits/grant-promotional-credits.server.ts'
import { tellOfLowCredits } from '#app/domain/credits/note-low-credits.server.ts'
import { getCredits, listCreditMovements } from '#app/domain/credits/queries.server.ts'
import { setLowCredits } from '#app/domain/credits/set-low-credits.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { changePlan, lockWorkspace } from '#app/domain/workspaces/change-plan.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { newId } from '#app/platform/ids.ts'
import { expectBooksAgree, grant, purseOf } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'
import { until } from '#test/gateway.ts'
import { tasks } from '#workers/tasks/index.ts'

const db = useDatabase()
const USD = 1_000_000_000_000n
const now = new Date()
const ownerOf = async (planId: string) => makeMember((await makeWorkspace({ planId })).id, 'owner')
const noticesOf = async (workspaceId: string) => {
  const { rows } = await db.owner.query(
    'SELECT kind, reference, dismissed_at IS NULL AS open FROM notices WHERE workspace_id = $1 ORDER BY raised_at, id',
    [workspaceId],
  )
  return rows
}
const draw = (workspaceId: string, amount: bigint) =>
  db.owner.query("SELECT metering.take_credits($1::uuid, gen_random_uuid(), $2::bigint, 'draw', 'spent', false)", [
    workspaceId,
    amount.toString(),
  ])

test('a grant and a change of the workspace at the same time wait for each other in one order', async () => {
  const { workspaceId } = await ownerOf('harness-solo')
  await grant(db, workspaceId, USD / 2n)
  await tellOfLowCredits(now)
  let granted: Promise<string> | undefined
  await inSystem(async (tx) => {
    await lockWorkspace(tx, workspaceId)
    granted = grant(db, workspaceId, 10n * USD)
    granted.catch(() => null)
    await until(async () => {
      const { rows } = await db.owner.query(
        'SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = $1 AND datname = current_database()',
        ['Lock'],
      )
      return rows[0].n > 0
    }, 'the grant waits for the workspace')
    const subject = { subjectType: 'workspace', subjectId: workspaceId, detail: {} }
    await recordAudit(tx, { workspaceId, actor: { kind: 'system' }, action: 'workspace.changed', ...subject, at: now })
  })
  expect(await granted).toMatch(/^[0-9a-f-]{36}$/)
  expect(await noticesOf(workspaceId)).toEqual([{ kind: 'low_credits', reference: 'credits', open: false }])
})

describe('monthly credits', () => {
  test('are granted once per month, end with it, and are in the audit trail', async () => {
    const owner = await ownerOf('harness-solo')
    expect(await grantMonthlyCredits(owner.workspaceId, now)).toBe(1)
    await Promise.all(
      [1, 2, 3].map(() => tasks['grant-monthly-credits']({ workspaceId: owner.workspaceId }, { now: () => now })),
    )
    const { availablePico, grants } = await getCredits(owner)
    expect(availablePico).toBe(10n * USD)
    const end = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1))
    expect(grants).toMatchObject([{ kind: 'monthly', expiresAt: end.toISOString(), expired: false }])
    const { rows } = await db.owner.query(
      "SELECT detail FROM audit_events WHERE workspace_id = $1 AND action = 'credits.granted'",
      [owner.workspaceId],
    )
    expect(rows).toMatchObject([{ detail: { kind: 'monthly', usd: '10' } }])
  })

  test('the next month brings them again, and what is left of the last is gone', async () => {
    const owner = await ownerOf('harness-pro')
    await grantMonthlyCredits(owner.workspaceId, now)
    await draw(owner.workspaceId, 15n * USD)
    const next = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1))
    await db.owner.query(
      "UPDATE metering.credit_grants SET expires_at = now() - interval '1 second' WHERE workspace_id = $1",
      [owner.workspaceId],
    )
    expect(await grantMonthlyCredits(owner.workspaceId, next)).toBe(1)
    expect((await getCredits(owner)).availablePico).toBe(40n * USD)
    expect(await expireCredits()).toBe(1)
    expect(await purseOf(db, owner.workspaceId)).toMatchObject({
      available: 40n * USD,
      spent: 15n * USD,
      expired: 25n * USD,
    })
    await expectBooksAgree(db, owner.workspaceId)
  })

  test('a change of plan asks for its own at once, and a month brings no more than its dearest plan', async () => {
    const owner = await ownerOf('harness-solo')
    const { workspaceId } = owner
    await grantMonthlyCredits(workspaceId, now)
    const subscription = { id: null, status: 'active', endsAt: null }
    for (const planId of ['harness-pro', 'harness-solo', 'harness-team', 'harness-pro']) {
      await inSystem((tx) =>
        changePlan(tx, { workspaceId, planId, subscription, cause: 'test', actor: { kind: 'system' }, at: now }),
      )
      const { rows } = await db.owner.query(
        "SELECT id FROM graphile_worker.jobs WHERE task_identifier = 'grant-monthly-credits' AND key = $1",
        [`grant-monthly-credits:${workspaceId}`],
      )
      expect(rows).toHaveLength(1)
      await grantMonthlyCredits(workspaceId, now)
    }
    expect((await getCredits(owner)).availablePico).toBe(120n * USD)
    const sizes = (await getCredits(owner)).grants.map(({ amountPico }) => BigInt(amountPico) / USD)
    expect(sizes.sort()).toEqual([10n, 30n, 80n])
  })

  test.each(['unpaid', 'canceled', 'paused', 'incomplete'])('a subscription that is %s brings none', async (status) => {
    const owner = await ownerOf('harness-solo')
    await db.owner.query('UPDATE workspaces SET subscription_status = $2 WHERE id = $1', [owner.workspaceId, status])
    expect(await grantMonthlyCredits(owner.workspaceId, now)).toBe(0)
    await db.owner.query("UPDATE workspaces SET subscription_status = 'past_due' WHERE id = $1", [owner.workspaceId])
    expect(await grantMonthlyCredits(owner.workspaceId, now)).toBe(1)
  })
})

describe('the notice of low credits', () => {
  test('comes once, stays silent while the balance swings, and goes when it has risen well above', async () => {
    const owner = await ownerOf('credits')
    const { workspaceId } = owner
    await tellOfLowCredits(now)
    expect(await noticesOf(workspaceId)).toEqual([]) // one that never had any is not told
    await grant(db, workspaceId, 2n * USD)
    await draw(workspaceId, USD + 1n)
    await tellOfLowCredits(now)
    await tellOfLowCredits(now)
    expect(await noticesOf(workspaceId)).toEqual([{ kind: 'low_credits', reference: 'credits', open: true }])
    await grant(db, workspaceId, USD / 10n)
    await draw(workspaceId, USD / 5n)
    await tellOfLowCredits(now)
    expect(await noticesOf(workspaceId)).toHaveLength(1)
    await grant(db, workspaceId, USD)
    expect(await noticesOf(workspaceId)).toMatchObject([{ open: false }])
    await draw(workspaceId, USD)
    await tellOfLowCredits(now)
    expect(await noticesOf(workspaceId)).toHaveLength(2)
  })

  test('its threshold is a billing admin’s to set, 0 is silence, and nonsense is refused', async () => {
    const owner = await ownerOf('credits')
    await grant(db, owner.workspaceId, 3n * USD)
    await setLowCredits(owner, { usd: '5' })
    expect(await noticesOf(owner.workspaceId)).toMatchObject([{ open: true }])
    await setLowCredits(owner, { usd: '0' })
    expect(await noticesOf(owner.workspaceId)).toMatchObject([{ open: false }])
    for (const usd of ['', '-1', '1e9', 'five', '100000'])
      await expect(setLowCredits(owner, { usd })).rejects.toThrow('dollars')
    const member = await makeMember(owner.workspaceId, 'member')
    await expect(setLowCredits(member, { usd: '1' })).rejects.toMatchObject({ kind: 'forbidden' })
  })
})

describe('an operator’s grant', () => {
  const operator = (): OperatorCtx => ({
    actor: { kind: 'operator', id: newId() },
    ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
    now: () => now,
    requestId: newId(),
  })
  const form = { usd: '12.50', days: '30', note: 'Sorry for Tuesday', formId: 'form-0001' }

  test('is made once per form, with its reason for the workspace to read', async () => {
    const workspace = await makeWorkspace({ planId: 'credits' })
    const owner = await makeMember(workspace.id, 'owner')
    const given = { ...form, workspace: workspace.slug }
    expect(await grantPromotionalCredits(operator(), given)).toEqual({ granted: true })
    expect(await grantPromotionalCredits(operator(), given)).toEqual({ granted: false })
    expect(await getCredits(owner)).toMatchObject({
      availablePico: (25n * USD) / 2n,
      grants: [{ kind: 'promotional', note: 'Sorry for Tuesday' }],
    })
    const { rows } = await db.owner.query(
      "SELECT actor_kind, detail->>'note' AS note FROM audit_events WHERE workspace_id = $1 AND action = 'credits.granted'",
      [workspace.id],
    )
    expect(rows).toEqual([{ actor_kind: 'operator', note: 'Sorry for Tuesday' }])
  })

  test.each([
    ['usd', { usd: '0' }],
    ['usd', { usd: '100000.01' }],
    ['usd', { usd: '1e3' }],
    ['days', { days: '0' }],
    ['days', { days: '1.5' }],
    ['note', { note: '  ' }],
  ])('names the wrong field: %s', async (field, wrong) => {
    const workspace = await makeWorkspace({ planId: 'credits' })
    await expect(
      grantPromotionalCredits(operator(), { ...form, workspace: workspace.slug, ...wrong }),
    ).rejects.toMatchObject({ field })
    expect((await purseOf(db, workspace.id)).available).toBe(0n)
  })

  test('is nobody else’s to make', async () => {
    const workspace = await makeWorkspace({ planId: 'credits' })
    const owner = await makeMember(workspace.id, 'owner')
    await expect(grantPromotionalCredits(owner, { ...form, workspace: workspace.slug })).rejects.toMatchObject({
      kind: 'forbidden',
    })
  })
})

test('movements are paged without a gap, and the file holds every transfer with the same sum', async () => {
  const owner = await ownerOf('credits')
  const { workspaceId } = owner
  await grant(db, workspaceId, 100n * USD)
  for (let at = 1; at <= 12; at += 1) await draw(workspaceId, BigInt(at) * USD)
  const seen: string[] = []
  let after: string | null = null
  do {
    const page = await listCreditMovements(owner, after, 5)
    seen.push(...page.movements.map(({ amountPico }) => amountPico))
    after = page.next
  } while (after)
  expect(seen.map((pico) => BigInt(pico) / USD)).toEqual([12n, 11n, 10n, 9n, 8n, 7n, 6n, 5n, 4n, 3n, 2n, 1n, 100n])
  let text = ''
  for await (const piece of exportMovements(owner)) text += piece
  const lines = text
    .trim()
    .split('\r\n')
    .slice(1)
    .map((line) => line.split(','))
  expect(lines).toHaveLength(13)
  const spent = lines
    .filter(([, , kind]) => kind === 'draw')
    .reduce((sum, line) => sum + BigInt(line.at(-1) ?? '0'), 0n)
  expect(spent * USD).toBe((await getCredits(owner)).spentPico)
  const stranger = await ownerOf('credits')
  expect((await listCreditMovements(stranger, null)).movements).toEqual([])
})
