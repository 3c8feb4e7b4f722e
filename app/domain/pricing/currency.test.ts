import { describe, expect, test } from 'vitest'
import {
  displayExact,
  displayMinor,
  displayPrice,
  minimumCharge,
  minorDigits,
  minorStep,
  picoPerMinor,
} from './currency.ts'

describe('currencies', () => {
  test('yen have no hundredths, dinars have thousandths, the others hundredths', () => {
    expect(['jpy', 'usd', 'eur', 'kwd'].map(minorDigits)).toEqual([0, 2, 2, 3])
    expect(['jpy', 'usd', 'kwd'].map(picoPerMinor)).toEqual([10n ** 12n, 10n ** 10n, 10n ** 9n])
    expect(['jpy', 'usd', 'gbp', 'kwd'].map(minimumCharge)).toEqual([50n, 50n, 30n, 500n])
  })

  // Sent as other whole currencies are, a bill in Ugandan shillings was collected at a hundredth of it.
  test('shillings and krónur are sent in hundredths to Stripe, whole ones only', () => {
    expect(['ugx', 'isk', 'eur', 'jpy', 'kwd'].map(minorDigits)).toEqual([2, 2, 2, 0, 3])
    expect(['ugx', 'isk', 'eur', 'jpy', 'kwd'].map(minorStep)).toEqual([100n, 100n, 1n, 1n, 10n])
    expect(displayMinor(500n, 'ugx')).toBe('UGX 5.00')
  })

  test('no currency is billed nothing at least', () => {
    expect(['vnd', 'czk', 'huf', 'isk'].map(minimumCharge)).toEqual([1n, 1_500n, 17_500n, 100n])
  })

  // Won were billed from ₩1 on, which Stripe does not charge.
  test('won are charged from 50 on, and a currency of half a unit from half a unit on', () => {
    expect(['krw', 'inr', 'zar', 'idr'].map(minimumCharge)).toEqual([50n, 50n, 50n, 50n])
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
