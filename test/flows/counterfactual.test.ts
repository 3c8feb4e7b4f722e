/** The last 30 days under each charge mode: recomputed here call by call, by the rules that charge real calls. */
import { beforeAll, describe, expect, test } from 'vitest'
import { comparePlan, getCounterfactual } from '#app/domain/analytics/counterfactual.server.ts'
import type { CallRecord } from '#app/domain/ledger/ledger.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import type { PlanRules } from '#app/domain/plans/plans.ts'
import { listPlans } from '#app/domain/plans/queries.server.ts'
import { chargePico, shareOf, type Tier } from '#app/domain/pricing/pricing.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { makeCall, recordAll } from '#test/call-factory.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'

useDatabase()
const DAY = 86_400_000
let owner: Ctx
let calls: CallRecord[]
let plans: PlanRules[]

/** The same numbers every time. */
function* numbers(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    yield state
  }
}

const surfaces = ['agent_run', 'search_indexer', 'document_ocr', 'sandbox']
const background = new Set(['search_indexer', 'sandbox'])
const tiers: Tier[] = ['frontier', 'balanced', 'cost_effective']

beforeAll(async () => {
  owner = await makeMember((await makeWorkspace({ planId: 'enterprise' })).id, 'owner')
  plans = await inSystem(listPlans)
  const draw = numbers(7)
  const next = (below: number) => Number(draw.next().value) % below
  const today = Date.parse(new Date().toISOString().slice(0, 10))
  const made: CallRecord[] = []
  for (let at = 0; at < 400; at += 1) {
    const own = at % 3 === 0
    const unknown = own && at % 15 === 0
    const tierless = own && at % 21 === 0
    made.push(
      await makeCall(owner.workspaceId, new Date(today - next(30) * DAY + (at % 2) * 1_000), {
        keySource: own ? 'workspace' : 'platform',
        chargeMode: own ? (tierless ? 'pass_through' : 'tier_margin') : 'tier',
        tier: tierless ? 'none' : (tiers[at % 3] as Tier),
        model: tierless ? 'nobody/untiered' : 'openai/gpt-5-mini',
        surface: surfaces[at % 4] as string,
        inputTokens: BigInt(next(3_000)),
        outputTokens: BigInt(1 + next(700)),
        rawCostPico: unknown ? null : at % 9 === 1 ? 0n : BigInt(1 + next(30_000)) * 1_000_003n,
        costSource: unknown ? 'unknown' : 'imported',
      }),
    )
  }
  // Outside of the 30 days: in nobody's sums.
  const outside = await makeCall(owner.workspaceId, new Date(today - 30 * DAY - 1), {})
  await recordAll([...made, outside])
  calls = made
})

/** One call under a mode, by the functions that charge it; null: the mode cannot price it. */
function under(call: CallRecord, mode: string, markupBp: number): { charge: bigint; credit: bigint } | null {
  const { tierPricePico, rawCostPico } = call
  if (mode === 'flat_fee' || mode === 'pass_through') return { charge: 0n, credit: 0n }
  if (mode === 'credits') return tierPricePico === null ? null : { charge: 0n, credit: tierPricePico }
  if (mode === 'markup') return rawCostPico ? { charge: shareOf(rawCostPico, markupBp), credit: 0n } : null
  const charge = chargePico({ chargeMode: mode as 'tier', tierPricePico, rawCostPico })
  return charge === null ? null : { charge, credit: 0n }
}

function byHand(plan: PlanRules, ownKey: boolean) {
  const sums = { chargePico: 0n, creditPico: 0n, providerPico: 0n, priced: 0 }
  for (const call of calls) {
    const own = ownKey && (plan.platformChargeMode === 'none' || !background.has(call.surface))
    const [mode, bp] = own
      ? [plan.workspaceChargeMode, plan.workspaceMarkupBp]
      : [plan.platformChargeMode, plan.platformMarkupBp]
    if (own) sums.providerPico += call.rawCostPico ?? 0n
    const priced = under(call, mode, bp)
    if (!priced) continue
    sums.priced += 1
    sums.chargePico += priced.charge
    sums.creditPico += priced.credit
  }
  return sums
}

test('every scenario of the catalogue is what its calls come to one by one', async () => {
  const { scenarios, calls: counted } = await getCounterfactual(owner)
  expect(counted).toBe(400n)
  const modes = new Set(scenarios.flatMap(({ parts }) => parts.map(({ mode }) => mode)))
  expect([...modes].sort()).toEqual(['credits', 'flat_fee', 'markup', 'pass_through', 'tier', 'tier_margin'])
  for (const scenario of scenarios) {
    const plan = plans.find(({ id }) => id === scenario.plan.id)
    if (!plan) throw new Error('a scenario of no plan')
    const { priced: _, ...sums } = byHand(plan, scenario.ownKey)
    const { chargePico, creditPico, providerPico, feePico, boughtCreditsPico, totalPico } = scenario
    expect([plan.id, scenario.ownKey, { chargePico, creditPico, providerPico }]).toEqual([
      plan.id,
      scenario.ownKey,
      sums,
    ])
    const bought = creditPico > plan.monthlyCreditsPico ? creditPico - plan.monthlyCreditsPico : 0n
    expect(boughtCreditsPico).toBe(bought)
    expect(feePico).toBe(scenario.ownKey && plan.workspaceChargeMode === 'flat_fee' ? plan.keyFeePico : 0n)
    expect(totalPico).toBe(chargePico + providerPico + feePico + bought)
  }
})

test('a loss-making call eats no other one’s margin: the floor is per call', async () => {
  const { scenarios } = await getCounterfactual(owner)
  const margin = scenarios.find(({ plan, ownKey }) => plan.id === 'enterprise' && ownKey)?.parts[0]
  expect(margin?.mode).toBe('tier_margin')
  expect(margin?.sums.flooredCalls).toBeGreaterThan(0n)
  expect(margin?.chargePico).toBeGreaterThan((margin?.sums.tierPricePico ?? 0n) - (margin?.sums.rawCostPico ?? 0n))
})

test('what a mode cannot price is counted and named, never free', async () => {
  const { untiered, unknownCost, sums } = await getCounterfactual(owner)
  const tierless = calls.filter((call) => call.tierPricePico === null).length
  const unknown = calls.filter((call) => call.rawCostPico === null)
  expect(untiered).toEqual([{ model: 'nobody/untiered', calls: String(tierless) }])
  expect(unknownCost.reduce((sum, row) => sum + Number(row.calls), 0)).toBe(unknown.length)
  expect(sums.others.unknownCostCalls + sums.background.unknownCostCalls).toBe(BigInt(unknown.length))
})

describe('beside a key card', () => {
  test('the workspace’s plan is compared without and with a key, as on the page', async () => {
    const { scenarios } = await getCounterfactual(owner)
    const of = (ownKey: boolean) =>
      scenarios.find((one) => one.plan.id === 'enterprise' && one.ownKey === ownKey)?.totalPico
    const compared = await comparePlan(owner)
    expect([compared?.platform?.totalPico, compared?.ownKey?.totalPico]).toEqual([of(false), of(true)])
  })
  test('a plan without keys has no such way', async () => {
    expect((await comparePlan(owner, 'pro'))?.ownKey).toBeNull()
    expect((await comparePlan(owner, 'pass-through'))?.platform).toBeNull()
  })
})

test('a workspace that is billed in another currency is compared with nothing: its prices and providers’ dollars are no sum', async () => {
  const { id } = await makeWorkspace({ planId: 'enterprise' })
  const member = await makeMember(id, 'owner')
  await recordAll([await makeCall(id, new Date(), { keySource: 'workspace' })])
  expect((await getCounterfactual(member)).scenarios.length).toBeGreaterThan(0)
  await inSystem((tx) => tx.workspace.update({ where: { id }, data: { currency: 'eur' } }))
  expect(await getCounterfactual(member)).toMatchObject({ currency: 'eur', scenarios: [], calls: 1n })
  expect(await comparePlan(member)).toBeNull()
})

test('a workspace without calls has sums of zero, and sees nobody else’s', async () => {
  const stranger = await makeMember((await makeWorkspace({ planId: 'enterprise' })).id, 'owner')
  const { calls: counted, scenarios } = await getCounterfactual(stranger)
  expect(counted).toBe(0n)
  for (const { chargePico, providerPico } of scenarios) expect(chargePico + providerPico).toBe(0n)
})
