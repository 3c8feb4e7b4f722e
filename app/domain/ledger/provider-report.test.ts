import { describe, expect, test } from 'vitest'
import { readProviderReport } from './provider-report.ts'

const header =
  'date,model,model_permaslug,endpoint_id,provider_name,usage,byok_usage_inference,requests,prompt_tokens,completion_tokens,reasoning_tokens'

describe('a provider’s report', () => {
  test('case 62: what the account paid and what its own upstream key paid are one cost; endpoints of a model are one row', () => {
    const csv = [
      header,
      '2026-10-05,a/b,a/b-1,e1,OpenAI,0.02,0,3,1000,10,0',
      '2026-10-05,a/b,a/b-1,e2,Azure,0,0.0360795,1,500,5,1',
      '2026-10-06 00:00:00,a/b,a/b-1,e1,OpenAI,1e-7,,1,1,1,0',
    ].join('\n')
    expect(readProviderReport(csv)).toEqual([
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

  test('what is wrong is said with its line', () => {
    const bad = (row: string) => () => readProviderReport(`${header}\n${row}`)
    expect(bad('5 Oct,a,a,e,p,1,0,1,1,1,0')).toThrow('Line 2: date "5 Oct" is not a day such as 2026-10-31')
    expect(bad('2026-10-05,a,a,e,p,NaN,0,1,1,1,0')).toThrow('Line 2: usage "NaN" is not an amount in USD')
    expect(bad('2026-10-05,a,a,e,p,-1,0,1,1,1,0')).toThrow('usage "-1" is not an amount')
    expect(() => readProviderReport('x,y\n1,2')).toThrow('missing column date, modelpermaslug, usage')
  })
})
