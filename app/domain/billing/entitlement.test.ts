import { describe, expect, test } from 'vitest'
import type { PlanRules, ProductMeaning } from '#app/domain/plans/plans.ts'
import {
  entitlementOf,
  everSubscribed,
  type SubscriptionFacts,
  scheduledChange,
  unknownProducts,
} from './entitlement.ts'

const NOW = new Date('2026-11-15T12:00:00Z')
const plan = (id: string, rank: number, allowedProviders: string[]): PlanRules => ({
  id,
  name: id,
  rank,
  allowedProviders,
  platformChargeMode: 'tier',
  workspaceChargeMode: 'tier_margin',
  platformMarkupBp: 10_000,
  workspaceMarkupBp: 0,
  keyFeePico: 0n,
  keyFeeProration: 'seconds',
  monthlyCreditsPico: 0n,
  minimumCreditsPico: 0n,
  creditOverage: 'stop',
  providerPrecedence: [],
})
const plans: Record<string, PlanRules> = {
  prod_pro: plan('pro', 2, []),
  prod_ent: plan('enterprise', 3, ['openrouter']),
}
const facts = (change: Partial<SubscriptionFacts> = {}): SubscriptionFacts => ({
  id: 'sub_1',
  status: 'active',
  productIds: ['prod_ent'],
  endedAt: null,
  endsAt: null,
  pausedAt: null,
  next: null,
  pendingProductIds: [],
  ...change,
})
const meaningOf = (id: string): ProductMeaning => (id === 'prod_support' ? 'add_on' : (plans[id] ?? null))
const entitled = (...subscriptions: SubscriptionFacts[]) => entitlementOf(subscriptions, meaningOf, NOW)
const planOf = (...subscriptions: SubscriptionFacts[]) => {
  const result = entitled(...subscriptions)
  return result.kind === 'plan' ? result.plan.id : result.kind
}

describe('leaving Enterprise (stripe §2.7), row by row', () => {
  test('another product now: left', () => expect(planOf(facts({ productIds: ['prod_pro'] }))).toBe('pro'))
  test('a cancellation for later keeps the plan', () =>
    expect(planOf(facts({ endsAt: new Date('2026-12-01T00:00:00Z') }))).toBe('enterprise'))
  test('past due and trialing keep it', () => {
    expect(planOf(facts({ status: 'past_due' }))).toBe('enterprise')
    expect(planOf(facts({ status: 'trialing' }))).toBe('enterprise')
  })
  test.each(['canceled', 'unpaid', 'incomplete', 'incomplete_expired'])('%s entitles to nothing', (status) =>
    expect(planOf(facts({ status }))).toBe('none'),
  )
  test('a second subscription that is still good keeps it', () =>
    expect(planOf(facts({ status: 'canceled', endedAt: NOW }), facts({ id: 'sub_2' }))).toBe('enterprise'))
  test('the best of several plans counts', () =>
    expect(planOf(facts({ productIds: ['prod_pro'] }), facts())).toBe('enterprise'))
  test('paused disables, and purges after 30 days', () => {
    const since = (days: number) => facts({ status: 'paused', pausedAt: new Date(NOW.getTime() - days * 86_400_000) })
    expect(entitled(since(29))).toMatchObject({ kind: 'paused', purge: false })
    expect(entitled(since(30))).toMatchObject({ kind: 'paused', purge: true })
    expect(planOf(since(40), facts({ id: 'sub_2', productIds: ['prod_pro'] }))).toBe('pro')
  })
  test('paused beside a product that nobody mapped is paused: what is paid there may be anything', () => {
    const unmapped = facts({ id: 'sub_2', productIds: ['prod_new'] })
    const paused = facts({ status: 'paused', pausedAt: NOW })
    expect(entitled(unmapped, paused)).toMatchObject({
      ...{ kind: 'paused', plan: { id: 'enterprise' }, purge: false },
      subscription: { id: 'sub_1' },
    })
    expect(unknownProducts([unmapped, paused], meaningOf)).toEqual(['prod_new'])
    expect(planOf(unmapped, facts({ status: 'paused', productIds: ['prod_support'] }))).toBe('unknown_product')
    expect(planOf(unmapped, facts({ status: 'canceled', endedAt: NOW }))).toBe('unknown_product')
  })
  test('an unknown product keeps the last plan and is named', () =>
    expect(entitled(facts({ productIds: ['prod_new'] }))).toMatchObject({
      kind: 'unknown_product',
      productId: 'prod_new',
    }))
  test('beside a plan the plan counts, and the product is named all the same: it may be a plan that nobody mapped', () => {
    const both = [facts({ productIds: ['prod_pro', 'prod_new'] }), facts({ id: 'sub_2', productIds: ['prod_other'] })]
    expect(planOf(...both)).toBe('pro')
    expect(unknownProducts(both, meaningOf)).toEqual(['prod_new', 'prod_other'])
    expect(unknownProducts([facts({ status: 'canceled', productIds: ['prod_new'] })], meaningOf)).toEqual([])
  })
  test('an add-on entitles to nothing, keeps nothing and is nothing unknown', () => {
    const support = facts({ id: 'sub_2', productIds: ['prod_support'] })
    expect(planOf(facts(), support)).toBe('enterprise')
    expect(unknownProducts([facts(), support], meaningOf)).toEqual([])
    expect(planOf(facts({ status: 'canceled', endedAt: NOW }), support)).toBe('none')
    expect(planOf(facts({ status: 'paused', pausedAt: NOW }), support)).toBe('paused')
    expect(planOf(facts({ productIds: ['prod_support', 'prod_new'] }))).toBe('unknown_product')
  })
  test('an add-on that goes on does not stand for the subscription that ended: no second one could be bought, and jobs would be let in', () => {
    const support = facts({ id: 'sub_2', productIds: ['prod_support'] })
    for (const status of ['canceled', 'unpaid', 'incomplete_expired'])
      expect(entitled(support, facts({ status, endedAt: status === 'unpaid' ? null : NOW }))).toEqual({
        kind: 'none',
        subscription: expect.objectContaining({ id: 'sub_1', status }),
      })
    expect(entitled(support)).toEqual({ kind: 'none', subscription: null })
  })
  test('who only ever had add-ons was given the plan by hand', () => {
    expect(everSubscribed([facts({ productIds: ['prod_support'] })], meaningOf)).toBe(false)
    expect(everSubscribed([facts({ productIds: ['prod_support'] }), facts({ status: 'canceled' })], meaningOf)).toBe(
      true,
    )
    expect(everSubscribed([facts({ productIds: ['prod_new'] })], meaningOf)).toBe(true)
  })
  test('no subscription at all, and of several ended ones the last', () => {
    expect(entitled()).toEqual({ kind: 'none', subscription: null })
    const older = facts({ id: 'a', status: 'canceled', endedAt: new Date('2026-01-01T00:00:00Z') })
    const newer = facts({ id: 'b', status: 'canceled', endedAt: new Date('2026-02-01T00:00:00Z') })
    expect(entitled(older, newer)).toMatchObject({ subscription: { id: 'b' } })
  })
})

describe('what is planned (stripe §2.7)', () => {
  const at = new Date('2026-12-01T00:00:00Z')
  const later = new Date('2027-01-01T00:00:00Z')
  const planned = (...subscriptions: SubscriptionFacts[]) => scheduledChange(subscriptions, meaningOf, 'plus', NOW)
  test('a schedule’s next phase, at its start', () => {
    const scheduled = facts({ next: { at, productIds: ['prod_pro'] } })
    expect(planned(scheduled)).toEqual({ planId: 'pro', at })
    expect(planOf(scheduled)).toBe('enterprise')
  })
  test('a cancellation leaves the lowest plan; where another subscription goes on, nothing changes', () => {
    expect(planned(facts({ endsAt: at }))).toEqual({ planId: 'plus', at })
    expect(planned(facts({ endsAt: at }), facts({ id: 'sub_2' }))).toBeNull()
    expect(planned(facts({ endsAt: at }), facts({ id: 'sub_2', endsAt: later }))).toEqual({ planId: 'plus', at: later })
  })
  test('nothing planned, a phase on the same plan, or one of a product nobody knows: no change is announced', () => {
    expect(planned(facts())).toBeNull()
    expect(planned(facts({ next: { at, productIds: ['prod_ent'] } }))).toBeNull()
    expect(planned(facts({ next: { at, productIds: ['prod_new'] } }))).toBeNull()
  })
  test('an end that has passed is no plan', () =>
    expect(planned(facts({ status: 'canceled', endedAt: NOW, endsAt: new Date('2026-11-01T00:00:00Z') }))).toBeNull())
})
