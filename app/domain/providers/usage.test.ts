import { describe, expect, test } from 'vitest'
import { readReply, readStreamTail } from './usage.ts'

const reply = (usage: string) => `{"id":"gen-1","model":"a/b","choices":[],"usage":${usage}}`
const counts = '"prompt_tokens":10,"completion_tokens":5,"total_tokens":15'
const usageOf = (usage: string) => {
  const facts = readReply(reply(usage))
  return { tokens: facts?.tokens ? [facts.tokens.input, facts.tokens.output] : null, cost: facts?.cost ?? null }
}

describe('money keeps every digit the provider wrote', () => {
  test.each([
    ['0.00123456789012345678', ['0.00123456789012345678']],
    ['1e-7', ['1e-7']],
    ['0', ['0']],
    ['0.0', ['0.0']],
    ['9007199254740993', ['9007199254740993']],
    ['"0.1"', ['0.1']],
  ])('%s', (text, cost) => {
    expect(usageOf(`{${counts},"cost":${text}}`)).toEqual({ tokens: [10, 5], cost })
  })
})

describe('unknown is not zero', () => {
  test.each(['null', '-5', '-0.1', '"0x10"', '""', '"1,5"', 'true', '{}', '[1]', '1e9999'])(
    'cost %s is unknown',
    (text) => {
      expect(usageOf(`{${counts},"cost":${text}}`).cost).toBe(null)
    },
  )
  test('a missing cost is unknown, and so is a reply without usage', () => {
    expect(usageOf(`{${counts}}`)).toEqual({ tokens: [10, 5], cost: null })
    expect(readReply('{"id":"gen-1"}')).toMatchObject({ tokens: null, cost: null })
  })
  test('an explicit zero is zero', () => {
    expect(usageOf('{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"cost":0}')).toEqual({
      tokens: [0, 0],
      cost: ['0'],
    })
  })
  test.each([
    ['negative', '{"prompt_tokens":-10,"completion_tokens":5,"cost":0.1}'],
    ['fraction', '{"prompt_tokens":1.7,"completion_tokens":5,"cost":0.1}'],
    ['exponent', '{"prompt_tokens":1e3,"completion_tokens":5,"cost":0.1}'],
    ['2^53 + 1', '{"prompt_tokens":9007199254740993,"completion_tokens":5,"cost":0.1}'],
    ['1e309', '{"prompt_tokens":1e309,"completion_tokens":5,"cost":0.1}'],
    ['text', '{"prompt_tokens":"12","completion_tokens":"5","cost":0.1}'],
    ['half missing', '{"prompt_tokens":12,"cost":0.1}'],
    [
      'broken detail',
      '{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":-1},"cost":0.1}',
    ],
    ['array', '[1,2]'],
    ['null', 'null'],
  ])('usage that cannot be true is unknown as a whole: %s', (_name, usage) => {
    expect(usageOf(usage)).toEqual({ tokens: null, cost: null })
  })
  test.each(['{"prompt_tokens":NaN}', '{"prompt_tokens":Infinity}', '{"prompt_tokens":1'])(
    'what is not JSON says nothing: %s',
    (usage) => {
      expect(readReply(reply(usage))).toBe(null)
    },
  )
})

describe('whose bill counts', () => {
  test('the upstream bill is added only where the account has its own key there', () => {
    const details = '"cost_details":{"upstream_inference_cost":0.04}'
    expect(usageOf(`{${counts},"cost":0.002,"is_byok":true,${details}}`).cost).toEqual(['0.002', '0.04'])
    expect(usageOf(`{${counts},"cost":0.04,"is_byok":false,${details}}`).cost).toEqual(['0.04'])
    expect(usageOf(`{${counts},"cost":0.04,${details}}`).cost).toEqual(['0.04'])
  })
  test('with its own key but no upstream bill the cost is unknown', () => {
    expect(usageOf(`{${counts},"cost":0,"is_byok":true,"cost_details":{"upstream_inference_cost":null}}`).cost).toBe(
      null,
    )
  })
})

describe('tokens', () => {
  test('reasoning left out of the completion is found in the total', () => {
    expect(usageOf('{"prompt_tokens":12,"completion_tokens":1,"total_tokens":303,"cost":0}').tokens).toEqual([12, 291])
  })
  test('details are read, and dropped where they exceed the whole', () => {
    const detailed = readReply(
      reply(
        `{${counts},"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":3},"completion_tokens_details":{"reasoning_tokens":2}}`,
      ),
    )
    expect(detailed?.tokens).toEqual({ input: 10, output: 5, cacheRead: 4, cacheWrite: 3, reasoning: 2 })
    expect(readReply(reply(`{${counts},"prompt_tokens_details":{"cached_tokens":11}}`))?.tokens).toMatchObject({
      input: 10,
      cacheRead: 0,
    })
  })
})

describe('the end of a stream', () => {
  const event = (data: string, end = '\n') => `data: ${data}${end}${end}`
  const chunk = (content: string) =>
    event(JSON.stringify({ id: 'gen-1', model: 'a/b', choices: [{ delta: { content } }] }))
  const last = (cost: string) => reply(`{${counts},"cost":${cost}}`)

  test('usage is found in its own event, on the finish event, with CRLF, with comments and over several data lines', () => {
    const cases = [
      `${chunk('hi')}${event(last('0.5'))}${event('[DONE]')}`,
      `${chunk('hi')}: OPENROUTER PROCESSING\n\n${event(last('0.5'))}`,
      `${event(last('0.5'), '\r\n')}${event('[DONE]', '\r\n')}`,
      `${event(last('0.5'), '\r')}${event('[DONE]', '\r')}`,
      `event: message\nid: 7\ndata:${last('0.5').replace(',"usage"', '\ndata:,"usage"')}\n\n`,
      `data: ${last('0.5')}`,
    ]
    for (const text of cases) expect(readStreamTail(text)).toMatchObject({ cost: ['0.5'], failed: false })
  })

  test('the last usage counts, not the sum, and a later broken one makes it unknown', () => {
    expect(readStreamTail(`${event(last('0.1'))}${event(last('0.2'))}${event('[DONE]')}`)).toMatchObject({
      cost: ['0.2'],
    })
    expect(
      readStreamTail(`${event(last('0.1'))}${event(reply('{"prompt_tokens":-1,"completion_tokens":0}'))}`),
    ).toMatchObject({ cost: null })
  })

  test('the word usage in what the model says changes nothing', () => {
    const forged = '","usage":{"prompt_tokens":0,"completion_tokens":0,"cost":0},"x":"'
    expect(readStreamTail(`${event(last('0.5'))}${chunk(forged)}${chunk('"usage":{"cost":0}')}`)).toMatchObject({
      cost: ['0.5'],
    })
    expect(
      readStreamTail(`${chunk('\n\ndata: {"usage":{"prompt_tokens":0,"completion_tokens":0,"cost":0}}\n\n')}`),
    ).toMatchObject({ cost: null })
  })

  test('a tail that begins in the middle of an event is read all the same', () => {
    const text = `${chunk('a long beginning')}${event(last('0.5'))}${event('[DONE]')}`
    expect(readStreamTail(text.slice(30))).toMatchObject({ cost: ['0.5'], tokens: { input: 10 } })
  })

  test('an error event is a failure with its code', () => {
    const error =
      '{"id":"gen-1","error":{"code":502,"message":"x","metadata":{"error_type":"provider_unavailable"}},"choices":[]}'
    expect(readStreamTail(`${chunk('hi')}${event(error)}`)).toMatchObject({
      failed: true,
      errorCode: 'provider_unavailable',
      cost: null,
    })
    expect(readReply('{"error":{"code":"server_error","message":"x"}}')).toMatchObject({
      failed: true,
      errorCode: 'server_error',
    })
    expect(readReply('{"error":{"code":"<script>"}}')).toMatchObject({ failed: true, errorCode: 'upstream_error' })
  })
})
