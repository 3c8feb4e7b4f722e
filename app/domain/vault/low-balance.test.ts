import { describe, expect, it } from 'vitest'
import { judgeBalance } from './low-balance.ts'

const judge = (low: boolean, usd: string, thresholdUsd = '5') =>
  judgeBalance({ low, thresholdUsd, balance: { kind: 'key_limit', usd } })

describe('the low-balance notice', () => {
  it.each([
    ['5.000000000000000001', 'leave'],
    ['5', 'leave'],
    ['4.999999999999999999', 'raise'],
    ['0', 'raise'],
    ['-0.01', 'raise'],
  ] as const)('while none stands, at $%s with a threshold of $5: %s', (usd, verdict) =>
    expect(judge(false, usd)).toBe(verdict),
  )

  it.each([
    ['-3', 'leave'],
    ['4.99', 'leave'],
    ['5', 'leave'],
    ['6.249999999999999999', 'leave'],
    ['6.25', 'resolve'],
    ['100', 'resolve'],
  ] as const)('while one stands, at $%s with a threshold of $5: %s', (usd, verdict) =>
    expect(judge(true, usd)).toBe(verdict),
  )

  it('is told once of a balance that swings around the threshold, and again after it recovered', () => {
    let low = false
    const told = ['5.01', '4.99', '5.01', '4.5', '6.2', '4.9', '6.25', '5.5', '4.99', '4'].map((usd) => {
      const verdict = judge(low, usd)
      if (verdict !== 'leave') low = verdict === 'raise'
      return verdict === 'raise' ? usd : null
    })
    expect(told.filter((usd) => usd !== null)).toEqual(['4.99', '4.99'])
  })

  it('is never raised for a key without a limit, and goes when a limit is taken off', () => {
    const balance = { kind: 'no_limit' as const, usd: null }
    expect(judgeBalance({ low: false, thresholdUsd: '5', balance })).toBe('leave')
    expect(judgeBalance({ low: true, thresholdUsd: '5', balance })).toBe('resolve')
  })

  it('follows a threshold that was changed', () => {
    expect(judge(false, '5', '20')).toBe('raise')
    expect(judge(true, '5', '4')).toBe('resolve')
  })
})
