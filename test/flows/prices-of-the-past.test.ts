/** Prices that change after the call: whatever is corrected later, and in whatever order, the newest price and the newest cost hold. */
import { expect, test } from 'vitest'
import { enterCosts } from '#app/domain/ledger/enter-costs.server.ts'
import { reconcileHeldCalls } from '#app/domain/ledger/reconcile-held-calls.server.ts'
import { recordUsageEvents } from '#app/domain/ledger/record-usage-events.server.ts'
import { rerateCalls } from '#app/domain/ledger/rerate-calls.server.ts'
import type { GenerationReader } from '#app/domain/ledger/sweep-attempts.server.ts'
import { resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { changeDraft, draftPrices, readTypedBook } from '#app/domain/operations/draft-prices.server.ts'
import { previewPrices } from '#app/domain/operations/preview-prices.server.ts'
import { publishRerate } from '#app/domain/operations/publish-prices.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { loadCatalogue } from '#app/domain/pricing/queries.server.ts'
import { monthOf } from '#app/platform/calendar-month.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { picoToUsd } from '#app/platform/pico.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeWorkspace } from '#test/factories.ts'

const db = useDatabase()
const NOW = new Date()
const hoursAgo = (hours: number) => new Date(NOW.getTime() - hours * 3_600_000)
const operator: OperatorCtx = {
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: () => NOW,
  requestId: 'flow',
}
const rawCostPico = 1_000_000_000n

/** The balanced tier at twice the seed's price, for one workspace, since 48 hours ago. @returns the re-rate run */
async function publishTwice(slug: string): Promise<string> {
  const version = await draftPrices(operator, { workspace: slug })
  const typed = await readTypedBook(operator, version)
  const { input, output } = typed.tiers.balanced
  const twice = (text: string) => String(Number(text) * 2)
  const balanced = { ...typed.tiers.balanced, input: twice(input), output: twice(output) }
  const effectiveFrom = hoursAgo(48).toISOString().slice(0, 16)
  await changeDraft(operator, version, { ...typed, effectiveFrom, tiers: { ...typed.tiers, balanced } })
  return publishRerate(operator, version)
}

/** What a call is charged in the end. */
async function chargeOf(callId: string): Promise<bigint> {
  const { rows } = await db.owner.query(
    `SELECT coalesce((SELECT x.charge_after_pico FROM metering.call_adjustments x WHERE x.call_id = c.id ORDER BY x.seq DESC LIMIT 1),
       c.charge_pico)::text AS charge FROM metering.calls_now c WHERE c.id = $1`,
    [callId],
  )
  return BigInt(rows[0].charge)
}

test('a cost that is corrected after a re-rate run keeps the prices of that run, and may be put back again', async () => {
  const { id, slug } = await makeWorkspace({})
  const call = await makeCall(id, hoursAgo(2), { keySource: 'workspace', rawCostPico })
  await recordAll([call])
  const price = 2n * (call.tierPricePico ?? 0n)
  await rerateCalls(await publishTwice(slug), NOW)
  expect(await chargeOf(call.id)).toBe(price - rawCostPico)
  for (const cost of [2n * rawCostPico, rawCostPico, 2n * rawCostPico]) {
    const csv = `${call.id},${picoToUsd(cost)}`
    expect(await enterCosts(operator, { csv })).toEqual({ resolved: 0, corrected: 1, kept: 0, unchanged: 0 })
    expect(await enterCosts(operator, { csv })).toEqual({ resolved: 0, corrected: 0, kept: 0, unchanged: 1 })
    expect(await chargeOf(call.id)).toBe(price - cost)
  }
})

test('a call that was held when its prices were re-rated is made good by the next night’s run, which tells operators of nothing old', async () => {
  const { id, slug } = await makeWorkspace({})
  const held = await makeCall(id, hoursAgo(2), {
    ...{ keySource: 'workspace', rawCostPico: null, costSource: 'unknown', upstreamId: 'gen-1' },
  })
  await recordAll([held])
  const rerateId = await publishTwice(slug)
  await rerateCalls(rerateId, NOW)
  const run = await inSystem((tx) => tx.rerateRun.findUniqueOrThrow({ where: { id: rerateId } }))
  const version = String(run.priceBookVersion)
  const alert = () => inSystem((tx) => tx.alert.findFirst({ where: { kind: 'prices_rerated', reference: version } }))
  const tokens = { input: 1_000, output: 100, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
  const told: GenerationReader = async () => ({
    kind: 'found',
    report: { tokens, costPico: rawCostPico, model: null, cancelled: false },
  })
  expect(await reconcileHeldCalls(told, new Date())).toBe(1)
  await inSystem((tx) => resolveAlert(tx, 'prices_rerated', version, NOW))
  await rerateCalls(rerateId, NOW)
  expect(await chargeOf(held.id)).toBe(2n * (held.tierPricePico ?? 0n) - rawCostPico)
  expect((await alert())?.resolvedAt).toBeNull()
  await inSystem((tx) => resolveAlert(tx, 'prices_rerated', version, NOW))
  await rerateCalls(rerateId, NOW)
  expect((await alert())?.resolvedAt).toEqual(NOW)
})

test('the cost of a call on a model that no list holds is booked as its provider tells it', async () => {
  const { id } = await makeWorkspace({})
  const call = await makeCall(id, hoursAgo(2), {
    ...{
      keySource: 'workspace',
      chargeMode: 'markup',
      markupBp: 500,
      model: 'nobody/lists-this',
      tier: 'none' as never,
    },
    ...{ rawCostPico: null, costSource: 'unknown', upstreamId: 'gen-2' },
  })
  await recordAll([call])
  const tokens = { input: 1_000, output: 100, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
  const told: GenerationReader = async () => ({
    kind: 'found',
    report: { tokens, costPico: rawCostPico, model: null, cancelled: false },
  })
  expect(await reconcileHeldCalls(told, new Date())).toBe(1)
  expect(await chargeOf(call.id)).toBe(rawCostPico / 20n)
})

test('a preview prices every usage event by itself, and counts them to what a page can go through', async () => {
  const { id, slug } = await makeWorkspace({})
  const plan = { platformChargeMode: 'tier', creditOverage: 'stop' } as const
  const { books } = await loadCatalogue()
  // Half a pico-dollar each at the end: three of them rounded once would be another sum.
  const events = [1n, 2n, 3n, 4n].map((n) => ({
    ...{ source: 's', id: `e-${n}`, meter: 'sandbox_seconds', surface: null, at: NOW },
    ...{ quantityNano: n === 4n ? 7_000_000_000n : 10_000n, hash: 'a0'.repeat(32) },
  }))
  const recorded = await recordUsageEvents(
    { workspaceId: id, tokenId: null, plan, currency: 'usd' },
    books,
    events,
    NOW,
  )
  const before = recorded.map((one) => ('amountPico' in one ? one.amountPico : -1n))
  const version = await draftPrices(operator, { workspace: slug })
  const typed = await readTypedBook(operator, version)
  await changeDraft(operator, version, { ...typed, meters: 'sandbox_seconds, Sandboxes, seconds, 0.00000015' })
  const month = monthOf(NOW)
  const preview = await previewPrices(operator, { version, month, mostCalls: 4 })
  expect(preview.rows).toMatchObject([
    { workspaceId: id, calls: '0', oldPico: String(before.reduce((sum, one) => sum + one, 0n)), newPico: '1050006' },
  ])
  await expect(previewPrices(operator, { version, month, mostCalls: 3 })).rejects.toMatchObject({ kind: 'too_large' })
})
