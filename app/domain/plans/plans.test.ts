import { describe, expect, it } from 'vitest'
import { chargeModeFor, looksForOwnKey, type PlanRules, planAllowsProvider, platformServes } from './plans.ts'

const plan = (over: Partial<PlanRules> = {}): PlanRules => ({
  id: 'p',
  name: 'P',
  rank: 1,
  allowedProviders: ['openrouter'],
  platformChargeMode: 'tier',
  workspaceChargeMode: 'tier_margin',
  providerPrecedence: [],
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
