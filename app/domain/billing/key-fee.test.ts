import { describe, expect, test } from 'vitest'
import { parseMonth } from '#app/platform/calendar-month.ts'
import { parsePico } from '#app/platform/pico.ts'
import { type FeeTerms, keyFees, type Period } from './key-fee.ts'

const OCTOBER = parseMonth('2026-10')
const usd = (text: string) => parsePico(text) ?? 0n
const at = (text: string) => new Date(`2026-${text}Z`)
const solo: FeeTerms = { planId: 'solo', planName: 'Solo', feePico: usd('8'), proration: 'seconds' }
const always = [{ planId: 'solo', from: new Date(0), to: null }]
const fees = (
  keyPeriods: Period[],
  terms: FeeTerms[] = [solo],
  planPeriods: (Period & { planId: string })[] = always,
) => keyFees({ month: OCTOBER, terms, planPeriods, keyPeriods })

describe('the monthly fee for an own key', () => {
  test('case 69: a key enabled in the last second of the month is one second of it, to the last digit', () => {
    const [fee] = fees([{ from: at('10-31T23:59:59'), to: null }])
    expect(fee).toMatchObject({ activeMs: 1_000n, monthMs: 2_678_400_000n })
    // 8 USD / 2,678,400 s = 2.986857825…e-6 USD
    expect(fee?.exactPico).toBe(2_986_858n)
  })

  test('case 69: the whole month by setting, in full for one second', () => {
    const whole = { ...solo, proration: 'whole_month' as const }
    expect(fees([{ from: at('10-31T23:59:59'), to: null }], [whole])[0]?.exactPico).toBe(usd('8'))
  })

  test('case 69: two keys in one month are one fee, however their times overlap', () => {
    const first = { from: at('10-01T00:00:00'), to: at('10-20T00:00:00') }
    const second = { from: at('10-10T00:00:00'), to: null }
    expect(fees([first, second])).toMatchObject([{ exactPico: usd('8'), activeMs: 2_678_400_000n }])
    expect(fees([second, first])[0]?.periods).toEqual([{ from: at('10-01T00:00:00'), to: at('11-01T00:00:00') }])
  })

  test('times without a key between two are not charged', () => {
    const day = (n: string) => ({ from: at(`10-${n}T00:00:00`), to: at(`10-${n}T12:00:00`) })
    expect(fees([day('03'), day('05')])[0]).toMatchObject({ activeMs: 86_400_000n })
  })

  test('only the time on the plan counts, each plan by its own fee', () => {
    const pro: FeeTerms = { ...solo, planId: 'pro', planName: 'Pro', feePico: usd('16') }
    const half = at('10-16T12:00:00')
    const periods = [
      { planId: 'solo', from: new Date(0), to: half },
      { planId: 'pro', from: half, to: null },
    ]
    const both = fees([{ from: new Date(0), to: null }], [solo, pro], periods)
    expect(both.map((fee) => [fee.planId, fee.exactPico])).toEqual([
      ['solo', usd('4')],
      ['pro', usd('8')],
    ])
    const whole = [solo, pro].map((one) => ({ ...one, proration: 'whole_month' as const }))
    expect(fees([{ from: new Date(0), to: null }], whole, periods).map((fee) => fee.planId)).toEqual(['pro'])
  })

  test('no key in the month, or a plan without a fee: nothing', () => {
    expect(fees([{ from: at('09-01T00:00:00'), to: at('10-01T00:00:00') }])).toEqual([])
    expect(fees([{ from: at('11-01T00:00:00'), to: null }])).toEqual([])
    expect(fees([{ from: at('10-05T00:00:00'), to: null }], [{ ...solo, feePico: 0n }])).toEqual([])
  })

  test('case 75: a leap day belongs to February, whose seconds are one day more', () => {
    const [fee] = keyFees({
      month: parseMonth('2028-02'),
      terms: [solo],
      planPeriods: always,
      keyPeriods: [{ from: new Date('2028-02-29T00:00:00Z'), to: new Date('2028-03-01T00:00:00Z') }],
    })
    expect(fee).toMatchObject({ activeMs: 86_400_000n, monthMs: 29n * 86_400_000n })
  })
})
