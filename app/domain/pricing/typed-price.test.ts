import { describe, expect, test } from 'vitest'
import { parseAtto } from '#app/platform/pico.ts'
import { perMillionUsd, readTypedPrice } from './typed-price.ts'

describe('a price typed in USD per million tokens', () => {
  test.each([
    ['3', '0.000003'],
    ['3.00', '0.000003'],
    ['$0.25', '0.00000025'],
    [' $ 15 ', '0.000015'],
    ['0', '0'],
    ['1000000', '1'],
    ['0.000000000001', '0.000000000000000001'],
    ['0.1', '0.0000001'],
  ])('%s is %s per token, exact, and reads back the same', (typed, perToken) => {
    expect(readTypedPrice(typed)).toBe(perToken)
    expect(readTypedPrice(perMillionUsd(parseAtto(perToken)))).toBe(perToken)
  })

  test.each(['', '-1', '1e-6', '1,5', '.5', '5.', 'NaN', '0x10', '1 2', '0.0000000000001', '12345678', '１'])(
    '"%s" is none',
    (typed) => {
      expect(readTypedPrice(typed)).toBeNull()
    },
  )
})
