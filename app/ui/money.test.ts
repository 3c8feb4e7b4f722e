import { describe, expect, it } from 'vitest'
import { cents, centsThatAddUp, exactMoney, money } from './money.ts'

describe('money on screen', () => {
  it('never shows zero for what is not zero, nor a number for what is unknown', () => {
    expect([money(0n), money(1n), money(null), money('-1')]).toEqual(['$0.00', '<$0.000001', 'unknown', '−<$0.000001'])
    expect([money(12_345_678_900n), money(1_234_567_890_000_000n)]).toEqual(['$0.012346', '$1,234.57'])
  })
  it('shows exact amounts to the last digit', () =>
    expect([exactMoney('1234000000000001'), exactMoney('-500000000000')]).toEqual(['$1,234.000000000001', '−$0.50']))
  it('in another currency is never called dollars, and yen have no cents', () => {
    expect([money(12_345_678_900n, 'eur'), money(null, 'eur'), exactMoney('500000000001', 'gbp')]).toEqual([
      '€0.01',
      'unknown',
      '£0.500000000001',
    ])
    expect(cents(1_500_000_000_000n, 'jpy')).toBe('¥2')
    expect(centsThatAddUp([1_500_000_000_000n, 1_500_000_000_000n], 'jpy')).toEqual({
      parts: ['¥2', '¥1'],
      total: '¥3',
    })
  })
  it('rounds parts to cents that add up', () => {
    expect(centsThatAddUp([5_000_000_000n, 5_000_000_000n])).toEqual({ parts: ['$0.01', '$0.005'], total: '$0.01' })
    expect(centsThatAddUp([14_000_000_000n, 14_000_000_000n])).toEqual({ parts: ['$0.02', '$0.01'], total: '$0.03' })
    expect(centsThatAddUp([10_000_000_000n, 0n])).toEqual({ parts: ['$0.01', '$0.00'], total: '$0.01' })
  })
  it('shows no part and no sum as nothing that is not nothing', () => {
    expect(centsThatAddUp([61_000_000n])).toEqual({ parts: ['$0.000061'], total: '$0.000061' })
    expect(centsThatAddUp([10_000_000_000n, 4_000_000_000n])).toEqual({ parts: ['$0.01', '$0.004'], total: '$0.01' })
    expect(centsThatAddUp([0n, 0n])).toEqual({ parts: ['$0.00', '$0.00'], total: '$0.00' })
  })
})
