import { describe, expect, test } from 'vitest'
import { displayExact, displayMinor, displayPrice, minimumCharge, minorDigits, picoPerMinor } from './currency.ts'

describe('currencies', () => {
  test('yen have no hundredths, dinars have thousandths, the others hundredths', () => {
    expect(['jpy', 'usd', 'eur', 'kwd'].map(minorDigits)).toEqual([0, 2, 2, 3])
    expect(['jpy', 'usd', 'kwd'].map(picoPerMinor)).toEqual([10n ** 12n, 10n ** 10n, 10n ** 9n])
    expect(['jpy', 'usd', 'gbp', 'kwd'].map(minimumCharge)).toEqual([50n, 50n, 30n, 500n])
  })

  test('amounts are written as the currency is written', () => {
    expect(displayMinor(123_456n, 'usd')).toBe('$1,234.56')
    expect(displayMinor(-5n, 'usd')).toBe('−$0.05')
    expect(displayMinor(1_200n, 'jpy')).toBe('¥1,200')
    expect(displayMinor(1_230n, 'kwd')).toBe('KWD 1.230')
    expect(displayExact(12_345_678_901n, 'usd')).toBe('$0.012345678901')
    expect(displayExact(3_000_000_000_000n, 'jpy')).toBe('¥3')
    expect(displayPrice('0.000012500000000000', 'usd')).toBe('$0.0000125')
    expect(displayPrice('8', 'usd')).toBe('$8.00')
    expect(displayExact(-1_500_000_000_000n, 'usd')).toBe('−$1.50')
  })
})
