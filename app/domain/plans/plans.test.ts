import { describe, expect, it } from 'vitest'
import { chargeModeFor, chooseKeySource, type PlanRules } from './plans.ts'

const plan = (allowedProviders: string[]): PlanRules => ({
  id: 'p',
  name: 'P',
  rank: 1,
  allowedProviders,
  platformChargeMode: 'tier',
  workspaceChargeMode: 'tier_margin',
})
const choose = (over: Partial<Parameters<typeof chooseKeySource>[0]>) =>
  chooseKeySource({
    plan: plan(['openrouter']),
    surfaceIsBackground: false,
    provider: 'openrouter',
    key: { enabled: true },
    ...over,
  })

describe('key source at dispatch', () => {
  it('takes the workspace key where plan and surface allow it and one is enabled', () =>
    expect(choose({})).toBe('workspace'))
  it('never takes it on a background surface', () => expect(choose({ surfaceIsBackground: true })).toBe('platform'))
  it('never takes it on a plan without keys, even where a row is left over', () =>
    expect(choose({ plan: plan([]) })).toBe('platform'))
  it('takes the platform key where the key is absent or disabled', () => {
    expect(choose({ key: null })).toBe('platform')
    expect(choose({ key: { enabled: false } })).toBe('platform')
  })
  it('prices by whose key paid', () => {
    expect(chargeModeFor(plan([]), 'platform')).toBe('tier')
    expect(chargeModeFor(plan([]), 'workspace')).toBe('tier_margin')
  })
})
