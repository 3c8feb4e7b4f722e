import { describe, expect, it } from 'vitest'
import { isSameOrigin, ownOrigins } from './origin-guard.ts'

const own = ['https://ai.example.com']
const post = (origin?: string, secFetchSite?: string) => isSameOrigin({ method: 'POST', origin, secFetchSite }, own)

describe('the guard in front of every unsafe method', () => {
  it('lets our own pages through', () => {
    expect(post('https://ai.example.com')).toBe(true)
    expect(post(undefined, 'same-origin')).toBe(true)
  })
  it.each([
    ['https://evil.example', undefined],
    ['null', 'same-origin'],
    ['http://ai.example.com', undefined],
    ['https://ai.example.com.evil.example', undefined],
    [undefined, 'cross-site'],
    [undefined, 'same-site'],
    [undefined, 'none'],
    [undefined, undefined],
  ])('stops origin %s, site %s', (origin, site) => expect(post(origin, site)).toBe(false))
  it('lets reads through', () =>
    expect(isSameOrigin({ method: 'GET', origin: 'https://evil.example', secFetchSite: 'cross-site' }, own)).toBe(true))
  it('knows the loopback twin outside production only', () => {
    expect(ownOrigins('http://127.0.0.1:3000', false)).toContain('http://localhost:3000')
    expect(ownOrigins('https://ai.example.com', true)).toEqual(own)
  })
})
