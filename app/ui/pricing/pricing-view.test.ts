import { describe, expect, test } from 'vitest'
import { noModeSums, type Part } from '#app/domain/analytics/counterfactual.ts'
import { linesOf, timelineNote } from './pricing-view.ts'

describe('the arithmetic of a way of charging', () => {
  const part = (mode: Part['mode']): Part => ({
    mode,
    keySource: 'platform',
    markupBp: 0,
    sums: { ...noModeSums, calls: 28n, untieredCalls: 2n, rawCostPico: 7_000_000_000n, tierPricePico: 9_000_000_000n },
    chargePico: 0n,
    creditPico: 9_000_000_000n,
    providerPico: 0n,
    unpricedCalls: 2n,
  })

  test('does not count calls of models in no tier where it cannot price them', () => {
    expect(linesOf(part('credits'))[0]?.what).toContain('26 calls on the platform key')
    expect(linesOf(part('markup'))[0]?.what).toContain('28 calls on the platform key')
  })
})

describe('why a call on the platform key is charged as it is', () => {
  test('is said in the words of the plan that the workspace has', () => {
    expect(timelineNote('tier')).toContain('is still “Cost + surcharge”')
    expect(timelineNote('credits')).toContain('is still “Credits”')
    expect(timelineNote('credits')).not.toContain('surcharge')
    expect(timelineNote('none')).toContain('a call that no key of yours serves is refused')
  })
})
