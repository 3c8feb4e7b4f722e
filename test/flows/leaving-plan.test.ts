/** The countdown to a scheduled downgrade: what it destroys, what moves, what that costs; and that it can be taken back. */
import { beforeEach, describe, expect, test } from 'vitest'
import { getBillingTimeline } from '#app/domain/analytics/billing-timeline.server.ts'
import { comparePlan } from '#app/domain/analytics/counterfactual.server.ts'
import { getPlanLeaving } from '#app/domain/analytics/leaving-plan.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { removeProviderKey } from '#app/domain/vault/remove-provider-key.server.ts'
import { remainingTime, toLeavingView } from '#app/ui/billing/leaving-view.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace, saveKeyDirectly } from '#test/factories.ts'
import { customerKey } from '#test/gateway.ts'

const db = useDatabase()
const DAY = 86_400_000
let owner: Ctx
let keyId: string
const schedule = (planId: string | null, at: Date | null) =>
  db.owner.query('UPDATE workspaces SET scheduled_plan_id = $2, scheduled_change_at = $3 WHERE id = $1', [
    owner.workspaceId,
    planId,
    at,
  ])

beforeEach(async () => {
  owner = await makeMember((await makeWorkspace({ planId: 'enterprise' })).id, 'owner')
  keyId = await saveKeyDirectly(owner, customerKey)
  const now = new Date()
  const on = (surface: string, keySource: 'workspace' | 'platform') =>
    makeCall(owner.workspaceId, now, { surface, keySource })
  await recordAll([
    await on('document_ocr', 'workspace'),
    await on('agent_run', 'workspace'),
    await on('agent_run', 'workspace'),
    await on('search_indexer', 'platform'),
  ])
})

describe('a scheduled downgrade', () => {
  test('names its date, the keys that go, the surfaces that move, and what the last 30 days would have cost more', async () => {
    const at = new Date(Date.now() + 12 * DAY)
    await schedule('pro', at)
    const leaving = await getPlanLeaving(owner)
    expect(leaving).toMatchObject({
      ...{ at: at.toISOString(), fromPlan: 'Enterprise', toPlan: 'Pro', movesToPlatform: true },
      surfaces: [
        { surface: 'agent_run', calls: '2' },
        { surface: 'document_ocr', calls: '1' },
      ],
      keys: [{ id: keyId, provider: 'openrouter', hint: expect.stringContaining('…') }],
    })
    const [now, then] = [await comparePlan(owner), await comparePlan(owner, 'pro')]
    expect(leaving?.extraPico).toBe((then?.platform?.totalPico ?? 0n) - (now?.ownKey?.totalPico ?? 0n))
    // tier price 5,250,000,000 per call, cost 4,500,000,000: margin and cost together are the tier price, so nothing more
    expect(leaving?.extraPico).toBe(0n)
    if (!leaving) throw new Error('nothing is scheduled')
    const view = toLeavingView(leaving, (await loadCatalogue()).surfaces, new Date())
    expect(view.title).toMatch(/^Enterprise ends in 1[12] days$/)
    expect(view.surfaces[0]).toEqual({ name: 'Agent runs', calls: '2' })
  })

  test('where calls cost more than their tier price, the platform key would have been cheaper, and it says so', async () => {
    await recordAll([
      await makeCall(owner.workspaceId, new Date(), { keySource: 'workspace', rawCostPico: 9_250_000_000n }),
    ])
    await schedule('pro', new Date(Date.now() + DAY))
    expect((await getPlanLeaving(owner))?.extraPico).toBe(-4_000_000_000n)
  })

  test('is gone when it is taken back, when no key is held, and where the next plan allows the keys', async () => {
    await schedule('every-provider', new Date(Date.now() + DAY))
    expect(await getPlanLeaving(owner)).toBeNull()
    await schedule('pro', new Date(Date.now() + DAY))
    expect(await getPlanLeaving(owner)).not.toBeNull()
    await schedule(null, null)
    expect(await getPlanLeaving(owner)).toBeNull()
    await schedule('pro', new Date(Date.now() + DAY))
    await removeProviderKey(owner, { keyId })
    expect(await getPlanLeaving(owner)).toBeNull()
  })

  test('to a plan without a platform key, or while the workspace forbids it: calls are refused then, at no price', async () => {
    await db.owner.query('UPDATE workspaces SET never_platform_key = true WHERE id = $1', [owner.workspaceId])
    await schedule('pro', new Date(Date.now() + DAY))
    expect(await getPlanLeaving(owner)).toMatchObject({ movesToPlatform: false, extraPico: null })
  })
})

test('the time left is never said to be more than it is', () => {
  const now = new Date('2026-11-21T12:00:00Z')
  const after = (hours: number) => remainingTime(new Date(now.getTime() + hours * 3_600_000), now)
  expect([after(-1), after(0.5), after(1), after(47.9), after(48), after(24 * 12 - 0.1)]).toEqual([
    'now',
    'in less than an hour',
    'in 1 hour',
    'in 47 hours',
    'in 2 days',
    'in 11 days',
  ])
})

test('the timeline holds plans, keys with their hints, and the days of calls by whose key paid', async () => {
  await db.owner.query("UPDATE workspaces SET plan_id = 'pro' WHERE id = $1", [owner.workspaceId])
  const timeline = await getBillingTimeline(owner)
  const today = new Date().toISOString().slice(0, 10)
  expect(timeline.filter(({ kind }) => kind === 'plan')).toMatchObject([
    { planName: 'Pro', until: null },
    { planName: 'Enterprise', until: expect.any(String) },
  ])
  expect(timeline.filter(({ kind }) => kind === 'key')).toMatchObject([
    { provider: 'openrouter', until: null, hint: expect.stringContaining('…') },
  ])
  const calls = timeline.filter((event) => event.kind === 'calls')
  expect(calls.map(({ keySource, chargeMode, calls: of, at }) => [keySource, chargeMode, of, at]).sort()).toEqual([
    ['platform', 'tier', '1', today],
    ['workspace', 'tier_margin', '3', today],
  ])
})
