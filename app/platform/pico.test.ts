import { describe, expect, it } from 'vitest'
import { attoToPico, displayCents, displayUsd, divideHalfEven, parseAtto, parsePico, picoToUsd } from './pico.ts'

describe('exact money', () => {
  it('reads decimal text without a float in between', () => {
    expect(parsePico('0.000000000001')).toBe(1n)
    expect(parsePico('0.0360795')).toBe(36_079_500_000n)
    expect(parsePico('1e-7')).toBe(100_000n)
    expect(parsePico('9007199254740993')).toBe(9_007_199_254_740_993_000_000_000_000n)
    expect(parsePico('-5')).toBe(-5_000_000_000_000n)
  })
  it.each(['', 'NaN', 'Infinity', '0x10', '1e999', '1,5', '.5', ' 1', '--1', '1e309'])('refuses %j', (text) => {
    expect(parsePico(text)).toBeUndefined()
  })
  it('rounds half to even, once', () => {
    expect([5n, 15n, 25n, -5n, -15n, 26n].map((n) => divideHalfEven(n, 10n))).toEqual([0n, 2n, 2n, 0n, -2n, 3n])
    expect(attoToPico(parseAtto('0.0000000375') * 3n)).toBe(112_500n)
  })
  it('prints exactly, and for people', () => {
    expect(picoToUsd(1n)).toBe('0.000000000001')
    expect(picoToUsd(-12_500_000_000_000n)).toBe('-12.5')
    expect(displayUsd(1_234_567_890_000_000n)).toBe('$1,234.56789')
    expect(displayUsd(-40_000_000n)).toBe('−$0.00004')
    expect(displayCents(123_456n)).toBe('$1,234.56')
  })
})
