import { expect, test } from 'vitest'
import { formulaOf, percentOfBp } from './charge-words.ts'

test.each([
  [500, '5 %'],
  [10_000, '100 %'],
  [25, '0.25 %'],
  [1_050, '10.5 %'],
  [0, '0 %'],
  [1, '0.01 %'],
])('%i basis points are %s', (basisPoints, text) => {
  expect(percentOfBp(basisPoints)).toBe(text)
})

test('a markup of the whole cost is said to be at cost', () => {
  expect(formulaOf('markup', 10_000)).toContain('at cost')
  expect(formulaOf('markup', 500)).toContain('5 %')
})
