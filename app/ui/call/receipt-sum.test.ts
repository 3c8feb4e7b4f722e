import { describe, expect, test } from 'vitest'
import type { CallDetail } from '#app/domain/analytics/analytics.ts'
import { reasonOf, sumOf, verdictOf } from './receipt-sum.ts'

const at = new Date('2026-11-21T12:00:00Z')

const call = (over: Partial<CallDetail>): CallDetail => ({
  ...{ id: 'id', dispatchedAt: at, surface: 'agent_run', provider: 'openrouter', model: 'm', tier: 'balanced' },
  ...{
    keySource: 'workspace',
    chargeMode: 'tier_margin',
    streamed: false,
    status: 'ok',
    httpStatus: 200,
    errorCode: null,
  },
  ...{ inputTokens: 1_000n, outputTokens: 100n, cacheReadTokens: null, cacheWriteTokens: null, reasoningTokens: null },
  ...{
    rawCostPico: 2_000_000_000n,
    correctedCostPico: null,
    costSource: 'provider',
    tierPricePico: 5_250_000_000n,
    chargePico: 3_250_000_000n,
  },
  ...{ creditPico: 0n, correctionReason: null, latencyMs: 1, firstByteMs: 1, priceBookVersion: 1, upstreamId: null },
  ...{ billingMonth: '2026-11' as CallDetail['billingMonth'], recordedAt: at, origin: 'gateway', responseModel: null },
  ...{
    upstreamModel: null,
    endpoint: 'chat',
    priceRow: null,
    fallbackOf: null,
    standIn: null,
    usageSource: 'provider',
  },
  ...{ costClamped: false, keyId: 'k', keyVersion: 1, keyHint: 'sk-…a1b2', tokenName: null },
  ...{ price: { inputAtto: 3_500_000_000_000n, outputAtto: 17_500_000_000_000n } },
  ...{ markupBp: null, basisPico: null, basisSource: null, planName: 'Enterprise', surfaceIsBackground: false },
  enabledKeysThen: 1,
  adjustments: [],
  currency: 'usd',
  ...over,
})
const linesOf = (over: Partial<CallDetail>) => sumOf(call(over)).map(({ label, amount }) => [label, amount])

describe('the sum of a call', () => {
  test('under a margin: tokens, tier price, less the cost', () => {
    expect(linesOf({})).toEqual([
      ['Input tokens', '$0.0035'],
      ['Output tokens', '$0.00175'],
      ['Tier price, Balanced', '$0.00525'],
      ['Less what your provider charged you', '−$0.002'],
      ['Margin charged', '$0.00325'],
    ])
  })

  test('is in the currency that the workspace is billed in; what a provider charged is in dollars', () => {
    expect(linesOf({ currency: 'eur', chargeMode: 'tier', chargePico: 5_250_000_000n })).toEqual([
      ['Input tokens', '€0.0035'],
      ['Output tokens', '€0.00175'],
      ['Tier price, Balanced', '€0.00525'],
      ['Charged', '€0.00525'],
    ])
    expect(linesOf({ currency: 'eur', chargeMode: 'flat_fee', chargePico: 0n })).toEqual([
      ['Your provider charged you', '$0.002'],
      ['Charged', '€0.00'],
    ])
  })

  test('tokens of a class with its own price have their own line, and of a larger call the band’s prices', () => {
    const price = {
      ...{ inputAtto: 3_500_000_000_000n, outputAtto: 17_500_000_000_000n, cacheReadAtto: 350_000_000_000n },
      bands: [{ aboveInputTokens: 2_000n, inputAtto: 7_000_000_000_000n, outputAtto: 20_000_000_000_000n }],
    }
    expect(linesOf({ price, cacheReadTokens: 400n }).slice(0, 3)).toEqual([
      ['Input tokens', '$0.0021'],
      ['Read from cache', '$0.00014'],
      ['Output tokens', '$0.00175'],
    ])
    expect(linesOf({ price, inputTokens: 2_001n, cacheReadTokens: 400n }).slice(0, 2)).toEqual([
      ['Input tokens', '$0.014007'],
      ['Output tokens', '$0.002'],
    ])
  })

  test('under a markup: the cost and a share of it; of a free model, of its lowest paid rate', () => {
    const markup = { chargeMode: 'markup', markupBp: 500, basisSource: 'raw_cost' } as const
    expect(linesOf({ ...markup, basisPico: 2_000_000_000n, chargePico: 100_000_000n })).toEqual([
      ['Your provider charged you', '$0.002'],
      ['Charged', '$0.0001'],
    ])
    const free = {
      ...markup,
      rawCostPico: 0n,
      basisPico: 1_000_000_000n,
      basisSource: 'lowest_paid_rate',
      chargePico: 50_000_000n,
    }
    expect(linesOf(free)).toEqual([
      ['Your provider charged you', '$0.00'],
      ['Share taken of', '$0.001'],
      ['Charged', '$0.00005'],
    ])
    expect(verdictOf(call(free))).toContain('5 % of what the provider charged')
    expect(verdictOf(call(free))).toContain('lowest paid rate')
  })

  test('from credits: the tier price, and that nothing of it is on the invoice', () => {
    const credits = {
      chargeMode: 'credits',
      keySource: 'platform',
      chargePico: 0n,
      creditPico: 5_250_000_000n,
    } as const
    expect(linesOf(credits).at(-1)).toEqual(['Drawn from credits', '$0.00525'])
    expect(verdictOf(call(credits))).toContain('came out of your credits')
  })

  test.each(['flat_fee', 'pass_through'] as const)(
    '%s: what the provider charged, and $0 here, billed externally',
    (chargeMode) => {
      const own = { chargeMode, chargePico: 0n }
      expect(linesOf(own)).toEqual([
        ['Your provider charged you', '$0.002'],
        ['Charged', '$0.00'],
      ])
      expect(verdictOf(call(own))).toContain('billed externally')
      expect(verdictOf(call(own))).not.toContain('margin')
    },
  )

  test('a markup whose cost is unknown is held, as a margin is', () => {
    const held = { chargeMode: 'markup', markupBp: 500, rawCostPico: null, chargePico: null } as const
    expect(linesOf(held).at(-1)).toEqual(['Charged', 'held'])
    expect(verdictOf(call(held))).toContain('held')
  })
})

describe('why it was charged so', () => {
  const platform = { keySource: 'platform', keyId: null } as const
  test.each<[Partial<CallDetail>, string]>([
    [{}, 'an enabled OpenRouter key of yours served the model when the call was sent under the plan Enterprise'],
    [{ ...platform, fallbackOf: 'x' }, 'it stands in for a call that your provider refused'],
    [{ ...platform, surfaceIsBackground: true }, 'its surface is a background one'],
    [{ ...platform, enabledKeysThen: 0 }, 'no key of yours was enabled when the call was sent'],
    [{ ...platform, enabledKeysThen: 2 }, 'no enabled key of yours was usable for this model and surface'],
  ])('%o', (over, words) => {
    expect(reasonOf(call(over))).toContain(words)
  })
})
