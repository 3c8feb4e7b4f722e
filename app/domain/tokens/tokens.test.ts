import { describe, expect, it } from 'vitest'
import { isWellFormedToken, makeGatewayToken, tokenDisplayStart } from './tokens.ts'

describe('gateway tokens', () => {
  it('are accepted as made, in both environments', () => {
    expect(isWellFormedToken(makeGatewayToken('live'))).toBe(true)
    expect(makeGatewayToken('test')).toMatch(/^km_test_[0-9A-Za-z]{38}$/)
  })
  it('refuses every one-character typo before any query', () => {
    const token = makeGatewayToken('live')
    for (let at = 8; at < token.length; at++) {
      for (const typo of ['0', 'z', 'Q']) {
        if (token[at] === typo) continue
        expect(isWellFormedToken(token.slice(0, at) + typo + token.slice(at + 1))).toBe(false)
      }
    }
  })
  it('accepts none of 100,000 random look-alikes', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
    let accepted = 0
    let seed = 42
    for (let n = 0; n < 100_000; n++) {
      let text = 'km_live_'
      for (let at = 0; at < 38; at++) {
        seed = (seed * 1103515245 + 12345) % 2147483648
        text += alphabet[(seed >> 8) % 62]
      }
      if (isWellFormedToken(text)) accepted++
    }
    expect(accepted).toBe(0)
  })
  it.each(["' OR '1'='1", '', 'km_live_', 'sk-or-v1-abc', `km_live_${'é'.repeat(38)}`])('refuses %j', (text) =>
    expect(isWellFormedToken(text)).toBe(false),
  )
  it('shows the prefix and four characters', () =>
    expect(tokenDisplayStart(makeGatewayToken('live'))).toMatch(/^km_live_.{4}$/))
})
