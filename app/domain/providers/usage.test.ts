import { describe, expect, test } from 'vitest'
import { parsePico } from '#app/platform/pico.ts'
import { readStreamTail } from './stream-usage.ts'
import { clampRawCost, readGeneration, readReply } from './usage.ts'

const reply = (usage: string) => `{"id":"gen-1","model":"a/b","choices":[],"usage":${usage}}`
const counts = '"prompt_tokens":10,"completion_tokens":5,"total_tokens":15'
const usageOf = (usage: string) => {
  const facts = readReply(reply(usage))
  return { tokens: facts?.tokens ? [facts.tokens.input, facts.tokens.output] : null, cost: facts?.costPico ?? null }
}

describe('money keeps every digit the provider wrote', () => {
  test.each([
    ['0.001234567891', 1_234_567_891n],
    ['1e-7', 100_000n],
    ['1e-30', 0n],
    ['0', 0n],
    ['0.0', 0n],
    ['9007199254740993', 9_007_199_254_740_993_000_000_000_000n],
    ['"0.1"', 100_000_000_000n],
  ])('%s', (text, cost) => {
    expect(usageOf(`{${counts},"cost":${text}}`)).toEqual({ tokens: [10, 5], cost })
  })

  test('a bill is held within five times the list price, and the outlier is marked', () => {
    expect(clampRawCost(500n, 100n)).toEqual({ costPico: 500n, clamped: false })
    expect(clampRawCost(501n, 100n)).toEqual({ costPico: 500n, clamped: true })
    expect(clampRawCost(0n, 0n)).toEqual({ costPico: 0n, clamped: false })
    expect(clampRawCost(1n, 0n)).toEqual({ costPico: 0n, clamped: true })
  })
})

describe('unknown is not zero', () => {
  test.each(['null', '-5', '-0.1', '"0x10"', '""', '"1,5"', 'true', '{}', '[1]', '1e9999', '1e309'])(
    'cost %s is unknown',
    (text) => {
      expect(usageOf(`{${counts},"cost":${text}}`).cost).toBe(null)
    },
  )
  test('a missing cost is unknown, and so is a reply without usage', () => {
    expect(usageOf(`{${counts}}`)).toEqual({ tokens: [10, 5], cost: null })
    expect(readReply('{"id":"gen-1"}')).toMatchObject({ tokens: null, costPico: null })
  })
  test('an explicit zero is zero', () => {
    expect(usageOf('{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"cost":0}')).toEqual({
      tokens: [0, 0],
      cost: 0n,
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
    expect(usageOf(`{${counts},"cost":0.002,"is_byok":true,${details}}`).cost).toBe(parsePico('0.042'))
    expect(usageOf(`{${counts},"cost":0.04,"is_byok":false,${details}}`).cost).toBe(parsePico('0.04'))
    expect(usageOf(`{${counts},"cost":0.04,${details}}`).cost).toBe(parsePico('0.04'))
  })
  test('case 62: is_byok with cost 0 and an upstream bill of 0.0360795 cost 0.0360795; not byok, cost and upstream both 0.02, cost 0.02', () => {
    const upstream = (usd: string) => `"cost_details":{"upstream_inference_cost":${usd}}`
    expect(usageOf(`{${counts},"cost":0,"is_byok":true,${upstream('0.0360795')}}`).cost).toBe(parsePico('0.0360795'))
    expect(usageOf(`{${counts},"cost":0.02,"is_byok":false,${upstream('0.02')}}`).cost).toBe(parsePico('0.02'))
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
  const half = parsePico('0.5')
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
    for (const text of cases) expect(readStreamTail(text)).toMatchObject({ costPico: half, failed: false })
  })

  test('the last usage counts, not the sum, and a later broken one makes it unknown', () => {
    expect(readStreamTail(`${event(last('0.1'))}${event(last('0.2'))}${event('[DONE]')}`)).toMatchObject({
      costPico: parsePico('0.2'),
    })
    expect(
      readStreamTail(`${event(last('0.1'))}${event(reply('{"prompt_tokens":-1,"completion_tokens":0}'))}`),
    ).toMatchObject({ costPico: null })
  })

  test('the word usage in what the model says changes nothing', () => {
    const forged = '","usage":{"prompt_tokens":0,"completion_tokens":0,"cost":0},"x":"'
    expect(readStreamTail(`${event(last('0.5'))}${chunk(forged)}${chunk('"usage":{"cost":0}')}`)).toMatchObject({
      costPico: half,
    })
    expect(
      readStreamTail(`${chunk('\n\ndata: {"usage":{"prompt_tokens":0,"completion_tokens":0,"cost":0}}\n\n')}`),
    ).toMatchObject({ costPico: null })
  })

  test('a tail that begins in the middle of an event is read all the same', () => {
    const text = `${chunk('a long beginning')}${event(last('0.5'))}${event('[DONE]')}`
    expect(readStreamTail(text.slice(30))).toMatchObject({ costPico: half, tokens: { input: 10 } })
  })

  test('an error event is a failure with its code', () => {
    const error =
      '{"id":"gen-1","error":{"code":502,"message":"x","metadata":{"error_type":"provider_unavailable"}},"choices":[]}'
    expect(readStreamTail(`${chunk('hi')}${event(error)}`)).toMatchObject({
      failed: true,
      errorCode: 'provider_unavailable',
      costPico: null,
    })
    expect(readReply('{"error":{"code":"server_error","message":"x"}}')).toMatchObject({
      failed: true,
      errorCode: 'server_error',
    })
    expect(readReply('{"error":{"code":"<script>"}}')).toMatchObject({ failed: true, errorCode: 'upstream_error' })
  })
})

test('a generation record says native tokens and the charge', () => {
  const record =
    '"native_tokens_prompt":10,"native_tokens_completion":5,"native_tokens_cached":2,"model":"a/b","cancelled":true'
  expect(
    readGeneration(`{"data":{${record},"total_cost":0.25,"is_byok":false,"upstream_inference_cost":0.25}}`),
  ).toEqual({
    tokens: { input: 10, output: 5, cacheRead: 2, cacheWrite: 0, reasoning: 0 },
    costPico: parsePico('0.25'),
    model: 'a/b',
    cancelled: true,
  })
  expect(
    readGeneration(`{"data":{${record},"total_cost":0.01,"is_byok":true,"upstream_inference_cost":0.2}}`),
  ).toMatchObject({ costPico: parsePico('0.21') })
  expect(readGeneration('{"data":null}')).toBe(null)
  expect(readGeneration('<html>')).toBe(null)
})

test('a model name with control characters is none: the ledger could not store the call', () => {
  const reply = { id: 'gen-1', model: 'gpt\u0000-5', usage: { prompt_tokens: 1, completion_tokens: 1 } }
  expect(readReply(JSON.stringify(reply))).toMatchObject({ model: null, generationId: 'gen-1', tokens: { input: 1 } })
})
