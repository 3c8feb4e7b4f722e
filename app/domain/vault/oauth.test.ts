import { expect, it } from 'vitest'
import { readLimitUsd } from './oauth.ts'

it.each([
  ['', null],
  ['   ', null],
  ['25', '25'],
  [' $ 12.50 ', '12.50'],
  ['0.01', '0.01'],
  ['999999', '999999'],
  ['0', undefined],
  ['0.00', undefined],
  ['-5', undefined],
  ['1e3', undefined],
  ['1,000', undefined],
  ['12.345', undefined],
  ['1000000', undefined],
  ['5&limit=9', undefined],
  ['five', undefined],
])('a limit typed as %j is %j', (typed, limit) => expect(readLimitUsd(typed)).toBe(limit))
