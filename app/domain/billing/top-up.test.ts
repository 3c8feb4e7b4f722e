import { expect, test } from 'vitest'
import { topUpCents } from './top-up.ts'

test.each([
  ['25', 2_500],
  [' $25.50 ', 2_550],
  ['0.01', 1],
  ['25.505', Number.NaN],
  ['', Number.NaN],
  ['twenty', Number.NaN],
  ['-5', -500],
])('%j typed as dollars is %s cents', (text, cents) => expect(topUpCents(text)).toBe(cents))
