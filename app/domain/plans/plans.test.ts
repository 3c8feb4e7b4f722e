import { describe, expect, it } from 'vitest'
import {
  chargeModeFor,
  looksForOwnKey,
  markupBpFor,
  needsTier,
  type PlanRules,
  planAllowsProvider,
  platformServes,
} from './plans.ts'

const plan = (over: Partial<PlanRules> = {}): PlanRules => ({
  id: 'p',
  name: 'P',
  rank: 1,
  allowedProviders: ['openrouter'],
  platformChargeMode: 'tier',
  workspaceChargeMode: 'tier_margin',
  providerPrecedence: [],
  platformMarkupBp: 10_000,
  workspaceMarkupBp: 0,
  keyFeePico: 0n,
  keyFeeProration: 'seconds',
  monthlyCreditsPico: 0n,
  minimumCreditsPico: 0n,
  creditOverage: 'stop',
  ...over,
})

describe('whose key pays', () => {
  const looks = (surfaceIsBackground: boolean, neverPlatformKey = false, over: Partial<PlanRules> = {}) =>
    looksForOwnKey({ plan: plan(over), surfaceIsBackground, neverPlatformKey })

  it('is the workspace’s, where it has a usable one', () => expect(looks(false)).toBe(true))
  it('is the platform’s on a background surface', () => expect(looks(true)).toBe(false))
  it('is the workspace’s on a background surface too, where the platform’s may not be used', () => {
    expect(looks(true, true)).toBe(true)
    expect(looks(true, false, { platformChargeMode: 'none' })).toBe(true)
  })
  it('is never the platform’s where the plan has none or the workspace forbids it', () => {
    expect(platformServes({ plan: plan(), neverPlatformKey: false })).toBe(true)
    expect(platformServes({ plan: plan(), neverPlatformKey: true })).toBe(false)
    expect(platformServes({ plan: plan({ platformChargeMode: 'none' }), neverPlatformKey: false })).toBe(false)
  })
  it('decides the price', () => {
    expect(chargeModeFor(plan(), 'platform')).toBe('tier')
    expect(chargeModeFor(plan(), 'workspace')).toBe('tier_margin')
    expect(() => chargeModeFor(plan({ platformChargeMode: 'none' }), 'platform')).toThrow('has no platform key')
  })
})

it('a plan allows the providers it names, all with a star, none when it names none', () => {
  expect(planAllowsProvider(plan(), 'openrouter')).toBe(true)
  expect(planAllowsProvider(plan(), 'openai')).toBe(false)
  expect(planAllowsProvider(plan({ allowedProviders: ['*'] }), 'openai')).toBe(true)
  expect(planAllowsProvider(plan({ allowedProviders: [] }), 'openrouter')).toBe(false)
})

it('a markup is taken by whose key paid, and by no other mode', () => {
  const nano = plan({ platformMarkupBp: 10_000, workspaceMarkupBp: 500 })
  expect(markupBpFor(nano, 'markup', 'workspace')).toBe(500)
  expect(markupBpFor(nano, 'markup', 'platform')).toBe(10_000)
  expect(markupBpFor(nano, 'tier_margin', 'workspace')).toBeNull()
})

it('only modes that charge by tier need the model to have one', () => {
  const modes = ['tier', 'tier_margin', 'credits', 'markup', 'flat_fee', 'pass_through'] as const
  expect(modes.filter(needsTier)).toEqual(['tier', 'tier_margin', 'credits'])
})
