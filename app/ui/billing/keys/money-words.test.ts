import { describe, expect, test } from 'vitest'
import { noSums } from '#app/domain/analytics/analytics.ts'
import { carriedByKeys, keysNote, type MoneyRules, noKeysText, savedMoney, stopWords } from './money-words.ts'

const rules = (over: Partial<MoneyRules>): MoneyRules => ({
  ...{ workspaceChargeMode: 'tier_margin', platformChargeMode: 'tier', workspaceMarkupBp: 500, keyFeeUsd: '8' },
  keyFeeProration: 'seconds',
  platformServes: true,
  ...over,
})
const alone = { provider: 'OpenRouter', isOff: false, hasSibling: false, hasOther: false }

describe('each way to charge for own keys is said in its own words', () => {
  test.each<[MoneyRules['workspaceChargeMode'], string, string]>([
    ['tier_margin', 'only the margin', 'only the margin'],
    ['pass_through', 'we bill nothing', 'we bill nothing'],
    ['markup', '5 % of that cost', 'our share of its cost'],
    ['flat_fee', 'a fee of $8 per month, for the time that a key is enabled', 'only the monthly fee'],
  ])('%s', (workspaceChargeMode, note, saved) => {
    const mode = rules({ workspaceChargeMode })
    expect(keysNote(mode, 'OpenRouter')).toContain(note)
    expect(savedMoney(mode, 'OpenRouter')).toContain(saved)
    const said = keysNote(mode, null) + savedMoney(mode, 'X') + stopWords(mode, alone).bill
    if (workspaceChargeMode !== 'tier_margin') expect(said).not.toMatch(/margin/)
  })
})

describe('each way to charge for the platform key is said in its own words', () => {
  test.each<[MoneyRules['platformChargeMode'], string, string]>([
    ['tier', 'at the tier price', 'billed at the tier price'],
    ['credits', 'draw credits', 'draw credits'],
    ['markup', 'what the provider charges', 'billed at what the provider charges'],
  ])('%s', (platformChargeMode, empty, removed) => {
    const mode = rules({ platformChargeMode })
    expect(noKeysText(mode, true)).toContain(empty)
    expect(stopWords(mode, alone).bill).toContain(removed)
  })
  test('none: calls are refused', () => {
    const mode = rules({ platformChargeMode: 'none', platformServes: false })
    expect(noKeysText(mode, true)).toContain('refused')
    expect(stopWords(mode, alone).routing).toContain('refused')
  })
})

test('of a key that is off already, nothing is said to change', () => {
  for (const platformServes of [true, false]) {
    const { routing, bill } = stopWords(rules({ platformServes }), { ...alone, isOff: true })
    expect(routing).toContain('nothing changes')
    expect(bill).toBe('nothing changes. What your key carried so far stays billed as margin.')
  }
})

test('what keys carried is compared with what the platform key would have been paid by', () => {
  const carried = { ...noSums, calls: 2n, rawCostPico: 10n ** 12n, tierPricePico: 3n * 10n ** 12n }
  expect(carriedByKeys(carried, rules({ platformChargeMode: 'credits' }))).toContain('drawn $3.00 from credits')
  expect(carriedByKeys(carried, rules({}))).toContain('cost $3.00 here')
  expect(carriedByKeys(carried, rules({ platformChargeMode: 'markup' }))).not.toContain('$3.00')
  expect(carriedByKeys(null, rules({}))).toBeNull()
})
