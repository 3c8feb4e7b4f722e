import { describe, expect, it } from 'vitest'
import { stuckWords } from './routing-view.ts'

describe('a plan without own keys', () => {
  it('leaves nobody with a platform key that is switched off and no way to see it', () => {
    expect(stuckWords('tier', { neverPlatformKey: true })).toContain('every call is refused now')
    expect(stuckWords('credits', { neverPlatformKey: true })).toContain('draws credits at the tier price')
  })

  it('says nothing where calls are served, or where there is no platform key to allow', () => {
    expect(stuckWords('tier', { neverPlatformKey: false })).toBeNull()
    expect(stuckWords('none', { neverPlatformKey: true })).toBeNull()
  })
})
