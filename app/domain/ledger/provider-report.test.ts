import { describe, expect, test } from 'vitest'
import { readProviderReport } from './provider-report.ts'

const header =
  'date,model,model_permaslug,endpoint_id,provider_name,usage,byok_usage_inference,requests,prompt_tokens,completion_tokens,reasoning_tokens'

const TODAY = new Date('2026-10-20T23:30:00Z')

describe('a provider’s report', () => {
  test('case 62: what the account paid and what its own upstream key paid are one cost; endpoints of a model are one row', () => {
    const csv = [
      header,
      '2026-10-05,a/b,a/b-1,e1,OpenAI,0.02,0,3,1000,10,0',
      '2026-10-05,a/b,a/b-1,e2,Azure,0,0.0360795,1,500,5,1',
      '2026-10-06 00:00:00,a/b,a/b-1,e1,OpenAI,1e-7,,1,1,1,0',
    ].join('\n')
    expect(readProviderReport(csv, TODAY)).toEqual([
      {
        day: '2026-10-05',
        model: 'a/b-1',
        costPico: 56_079_500_000n,
        requests: 4n,
        inputTokens: 1_500n,
        outputTokens: 15n,
      },
      { day: '2026-10-06', model: 'a/b-1', costPico: 100_000n, requests: 1n, inputTokens: 1n, outputTokens: 1n },
    ])
  })

  test.each([
    ['2026-02-31', 'date "2026-02-31" is not a day such as 2026-10-31'],
    ['2025-02-29', 'date "2025-02-29" is not a day'],
    ['2026-04-31 00:00:00', 'date "2026-04-31 00:00:00" is not a day'],
    ['2026-10-05th', 'date "2026-10-05th" is not a day'],
    ['2026-10-05 25:99', 'date "2026-10-05 25:99" is not a day'],
    ['2026-10-22', 'date "2026-10-22" lies in the future'],
  ])('a date of %s is no day of the past: refused, not moved to another', (date, words) => {
    const bad = `${header}\n2026-10-05,a,a,e,p,1,0,1,1,1,0\n${date},a,a,e,p,1,0,1,1,1,0`
    expect(() => readProviderReport(bad, TODAY)).toThrow(`Line 3: ${words}`)
  })
  test.each(['2024-02-29', '2026-10-05T00:00:00.000Z', '2026-10-05 00:00:00', '2026-10-21'])('%s is a day', (date) => {
    const [row] = readProviderReport(`${header}\n${date},a,a,e,p,1,0,1,1,1,0`, TODAY)
    expect(row?.day).toBe(date.slice(0, 10))
  })

  test('the line is the file’s, whatever empty lines and quoted ones stand before it', () => {
    const rows = ['', '2026-10-05,"a', 'b",a,e,p,1,0,1,1,1,0', '', '2026-02-31,a,a,e,p,1,0,1,1,1,0']
    expect(() => readProviderReport([header, ...rows].join('\n'), TODAY)).toThrow('Line 6: date')
    expect(() => readProviderReport(`${header}\n2026-10-05,"a`, TODAY)).toThrow('Line 2: this is not CSV')
    expect(() => readProviderReport(header, TODAY)).toThrow('Line 1: the file has no rows')
  })

  test('an amount that the books cannot hold is refused with its line, not by the database', () => {
    const row = (cost: string, requests = '1') => `${header}\n2026-10-05,a,a,e,p,${cost},0,${requests},1,1,0`
    expect(() => readProviderReport(row('1e30'), TODAY)).toThrow('Line 2: usage "1e30" is more than a day can cost')
    expect(() => readProviderReport(row('1', '9999999999999'), TODAY)).toThrow('Line 2: requests "9999999999999"')
  })

  test('what is wrong is said with its line', () => {
    const bad = (row: string) => () => readProviderReport(`${header}\n${row}`, TODAY)
    expect(bad('5 Oct,a,a,e,p,1,0,1,1,1,0')).toThrow('Line 2: date "5 Oct" is not a day such as 2026-10-31')
    expect(bad('2026-10-05,a,a,e,p,NaN,0,1,1,1,0')).toThrow('Line 2: usage "NaN" is not an amount in USD')
    expect(bad('2026-10-05,a,a,e,p,-1,0,1,1,1,0')).toThrow('usage "-1" is not an amount')
    const own = 'Day,Model,Cost USD,Input-Tokens'
    expect(() => readProviderReport(`${own}\n2026-10-05,a,x,1`, TODAY)).toThrow('Line 2: Cost USD "x" is not an amount')
    expect(() => readProviderReport(`${own}\n2026-10-05,a,1,x`, TODAY)).toThrow('Line 2: Input-Tokens "x" is not')
    expect(() => readProviderReport(`${own}\n2026-02-31,a,1,1`, TODAY)).toThrow('Line 2: Day "2026-02-31" is not a day')
    expect(() => readProviderReport(`${own}\n2026-10-05,,1,1`, TODAY)).toThrow('Line 2: Model is empty')
    expect(() => readProviderReport('x,y\n1,2', TODAY)).toThrow(
      'missing column date or day, model_permaslug or model, usage or cost',
    )
  })
})
