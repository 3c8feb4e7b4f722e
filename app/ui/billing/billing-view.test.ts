import { describe, expect, test } from 'vitest'
import { noModeSums, type Part, type Scenario } from '#app/domain/analytics/counterfactual.ts'
import type { InvoiceDetail, InvoiceSummary, UsageThisMonth } from '#app/domain/billing/queries.server.ts'
import { beforeKeyWords, toInvoiceRow, toUsageView } from './billing-view.ts'
import { toInvoiceView } from './invoice-view.ts'

const usage: UsageThisMonth = {
  currency: 'usd',
  ...{ month: '2026-11' as UsageThisMonth['month'], platformCalls: '3', platformPricePico: '2000000000000' },
  ...{ creditPico: '0', ownKeyCalls: '2', marginPico: '500000000000', providerBilledPico: '700000000000' },
  ...{ heldCalls: '0', exactPico: '2500000000000' },
  ...{ feePico: '0', usagePico: '0', correctionPico: '0' },
}
const rules: Parameters<typeof toUsageView>[1] = {
  ownKeys: true,
  provider: null,
  platformChargeMode: 'tier',
  workspaceChargeMode: 'tier_margin',
  workspaceMarkupBp: 500,
}

describe('the month so far, by the plan’s two modes', () => {
  const sentencesOf = (over: Partial<Parameters<typeof toUsageView>[1]>, of = usage) =>
    toUsageView(of, { ...rules, ...over }).parts.map(({ label, sentence }) => `${label}: ${sentence}`)

  test('cost + surcharge and margin', () => {
    const [platform, own] = sentencesOf({})
    expect(platform).toMatch(/^Cost \+ surcharge: .*tier price/)
    expect(own).toMatch(/^Margin only: .*never below \$0/)
  })
  test.each([
    ['pass_through', 'charges nothing'],
    ['flat_fee', 'draw no credits'],
    ['markup', '5 % of what your provider charged'],
  ] as const)('own keys under %s', (workspaceChargeMode, words) => {
    const [, own] = sentencesOf({ workspaceChargeMode })
    expect(own).toContain(words)
    expect(own).not.toMatch(/margin|tier price/i)
  })
  test('says nothing of own keys under a plan without them, unless calls of this month ran on one', () => {
    expect(sentencesOf({ ownKeys: false }, { ...usage, ownKeyCalls: '0' })).toHaveLength(1)
    expect(sentencesOf({ ownKeys: false }, { ...usage, ownKeyCalls: '3' })).toHaveLength(3)
    expect(sentencesOf({ ownKeys: true }, { ...usage, ownKeyCalls: '0' })).toHaveLength(3)
  })
  test('a platform key at cost, and one that credits pay', () => {
    expect(sentencesOf({ platformChargeMode: 'markup' })[0]).toContain('what the provider charged')
    const drawn = { ...usage, platformPricePico: '0', creditPico: '1250000000000' }
    const view = toUsageView(drawn, { ...rules, platformChargeMode: 'credits' })
    expect(view.parts[0]).toMatchObject({ label: 'Credits', amount: '$1.25' })
    expect(view.parts[0]?.exact).toContain('$0.00 on the invoice')
  })
  test('what is on the invoice adds up to the cent, whatever came from credits', () => {
    expect(toUsageView(usage, rules).total).toBe('$2.50')
  })
  test('less than half a cent is never called nothing, in no part and no sum', () => {
    const tiny = { ...usage, platformPricePico: '0', marginPico: '61000000', providerBilledPico: '250000000' }
    const view = toUsageView({ ...tiny, exactPico: '61000000' }, rules)
    expect(view.parts.map(({ amount }) => amount)).toEqual(['$0.00', '$0.000061', '$0.00025'])
    expect(view.total).toBe('$0.000061')
  })
  test('is in the workspace’s currency, what providers bill in dollars', () => {
    const view = toUsageView({ ...usage, currency: 'eur', feePico: '8000000000000' }, rules)
    expect(view.parts.map(({ amount, exact }) => [amount, exact])).toEqual([
      ['€2.00', '€2.00'],
      ['€0.50', '€0.50'],
      ['$0.70', '$0.70'],
    ])
    expect(view).toMatchObject({ total: '€2.50', totalExact: '€2.50', beside: { total: '€10.50' } })
  })
  test('a fee and usage that is no call are named beside the calls, and all of it together', () => {
    expect(toUsageView(usage, rules).beside).toBeNull()
    const { beside } = toUsageView({ ...usage, feePico: '8000000000000', usagePico: '180859200000' }, rules)
    expect(beside?.lines.map(({ amount, exact }) => [amount, exact])).toEqual([
      ['$8.00', '$8.00'],
      ['$0.180859', '$0.1808592'],
    ])
    expect(beside).toMatchObject({ total: '$10.68', totalExact: '$10.6808592' })
  })
})

describe('a key fee where the workspace is not billed in dollars', () => {
  // It was carried from month to month as a few yen, and nothing said so.
  test('is said to wait for the operator, on the billing page and on an invoice that carries it', () => {
    const fee = toUsageView({ ...usage, currency: 'jpy', feePico: '8000000000000' }, rules).beside?.lines[0]?.what
    expect(fee).toContain('reckoned in USD, so it is not charged in JPY')
    const line = {
      chargeMode: 'key_fee',
      kind: 'key_fee',
      lineKey: 'key_fee/harness-solo',
      detail: {},
      description: '',
    }
    const amounts = {
      calls: '0',
      inputTokens: '0',
      outputTokens: '0',
      amountCents: '0',
      basisPico: '0',
      creditPico: '0',
    }
    const exact = { tierPricePico: '0', rawCostPico: '0', exactPico: '8000000000000', quantity: null }
    const detail = (currency: string, chargeMode: string, state = 'carried') =>
      ({
        ...{
          runId: 'r',
          month: '2026-10',
          state,
          currency,
          kind: 'ai_usage',
          revision: 1,
          frozenAt: '2026-11-03T02:00:00Z',
        },
        ...{
          totalCents: '0',
          openingResiduePico: '0',
          exactPico: '0',
          closingResiduePico: '0',
          linesHash: '',
          calls: '0',
        },
        ...{
          stripeInvoiceNumber: null,
          finalizedAt: null,
          hostedInvoiceUrl: null,
          callsHash: null,
          stripeStatus: null,
        },
        lines: [{ ...line, ...amounts, ...exact, chargeMode }],
      }) as unknown as InvoiceDetail
    const said = (...of: Parameters<typeof detail>) => toInvoiceView('/w/a', detail(...of)).explanation
    expect(said('jpy', 'key_fee')).toMatch(/added to the next invoice\. Some of it is reckoned in USD.* in JPY/)
    expect(said('jpy', 'tier')).not.toContain('USD')
    expect(said('usd', 'key_fee')).not.toContain('USD')
    expect(said('jpy', 'key_fee', 'done_zero')).not.toContain('USD')
  })
})

test('an invoice in yen is listed in whole yen', () => {
  const invoice = { runId: 'r', month: '2026-10', state: 'done', stripeStatus: 'paid', calls: '3' } as InvoiceSummary
  const listed = (totalCents: string, currency: string) =>
    toInvoiceRow('/w/a', { ...invoice, totalCents, currency }).total
  expect(listed('12345', 'jpy')).toBe('¥12,345')
  expect(listed('12345', 'usd')).toBe('$123.45')
})

describe('before a first key', () => {
  const part = (calls: bigint) => ({ sums: { ...noModeSums, calls } }) as Part
  const scenario = (totalPico: bigint, providerPico: bigint, calls: bigint) =>
    ({ totalPico, providerPico, parts: [part(calls)] }) as Scenario
  const days = { from: '2026-10-23', to: '2026-11-21' }

  test('says both sums, and what of the second goes where', () => {
    const words = beforeKeyWords(
      {
        ...days,
        platform: scenario(5_000_000_000_000n, 0n, 9n),
        ownKey: scenario(4_000_000_000_000n, 3_000_000_000_000n, 9n),
      },
      'usd',
    )
    expect(words).toBe(
      'Your last 30 days (9 calls) come to $5.00 on the platform key. With a key of your own they come to $4.00: $1.00 here and $3.00 at your provider.',
    )
  })
  test('says why nothing is compared in another currency than the providers’', () => {
    expect(beforeKeyWords(null, 'eur')).toContain('your prices are in EUR, and no rate between them is kept')
  })
  test('says nothing where there is nothing to compare', () => {
    expect(beforeKeyWords(null, 'usd')).toBeNull()
    expect(beforeKeyWords({ ...days, platform: null, ownKey: scenario(1n, 1n, 1n) }, 'usd')).toBeNull()
    expect(beforeKeyWords({ ...days, platform: scenario(0n, 0n, 0n), ownKey: scenario(0n, 0n, 0n) }, 'usd')).toBeNull()
  })
})
