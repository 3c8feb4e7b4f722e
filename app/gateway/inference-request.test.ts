import { describe, expect, test } from 'vitest'
import type { Endpoint } from '#app/domain/providers/provider.ts'
import { GatewayError } from './gateway-error.ts'
import { readInferenceRequest } from './inference-request.ts'

const good = '"model":"openai/gpt-5-mini","messages":[{"role":"user","content":"hi"}]'
const read = (body: string | Buffer, endpoint: Endpoint = 'chat') => readInferenceRequest(endpoint, Buffer.from(body))

function refusal(body: string | Buffer, endpoint: Endpoint = 'chat'): GatewayError {
  try {
    read(body, endpoint)
  } catch (error) {
    if (error instanceof GatewayError) return error
    throw error
  }
  throw new Error('was accepted')
}

test('what every client sends is accepted', () => {
  expect(read(`{${good}}`)).toMatchObject({ model: 'openai/gpt-5-mini', streamed: false, promptTokensEstimate: 8 })
  expect(read(`{${good},"stream":true,"stream_options":{"include_usage":false}}`).streamed).toBe(true)
  expect(
    read(
      `{${good},"stream":null,"max_tokens":null,"temperature":0.7,"top_p":1e-1,"n":1,"max_tokens":10}`.replace(
        '"max_tokens":null,',
        '',
      ),
    ),
  ).toMatchObject({ streamed: false })
  expect(read('{"model":"~openai/gpt-latest","messages":[{}]}').model).toBe('~openai/gpt-latest')
  expect(read('{"model":"qwen/qwen3-coder:free","messages":[{}]}').model).toBe('qwen/qwen3-coder:free')
  const deployment = 'accounts/fireworks/models/kimi-k2p6#accounts/alice/deployments/d1'
  expect(read(`{"model":"${deployment}","messages":[{}]}`).model).toBe(deployment)
})

const secret = 'canary-4711'
describe('refused with 400, the parameter named and nothing quoted', () => {
  test.each<[string, string | Buffer, string, string | null]>([
    ['empty', '', 'invalid_json', null],
    ['not JSON', `model=${secret}`, 'invalid_json', null],
    ['array', `["${secret}"]`, 'invalid_json', null],
    ['truncated', `{${good},"user":"${secret}`, 'invalid_json', null],
    ['duplicate', `{${good},"model":"${secret}"}`, 'invalid_json', null],
    [
      'invalid UTF-8',
      Buffer.concat([Buffer.from(`{${good},"user":"`), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]),
      'invalid_json',
      null,
    ],
    ['no model', '{"messages":[{}]}', 'missing_parameter', 'model'],
    ['empty model', '{"model":"","messages":[{}]}', 'invalid_parameter', 'model'],
    ['model with CRLF', `{"model":"a\\r\\nX-Evil: ${secret}","messages":[{}]}`, 'invalid_parameter', 'model'],
    ['model with NUL', '{"model":"a\\u0000b","messages":[{}]}', 'invalid_parameter', 'model'],
    ['model climbing', '{"model":"a/../../b","messages":[{}]}', 'invalid_parameter', 'model'],
    ['long model', `{"model":"${'a'.repeat(2000)}","messages":[{}]}`, 'invalid_parameter', 'model'],
    ['model a number', '{"model":1,"messages":[{}]}', 'invalid_parameter', 'model'],
    ['no messages', '{"model":"a/b"}', 'missing_parameter', 'messages'],
    ['empty messages', '{"model":"a/b","messages":[]}', 'invalid_parameter', 'messages'],
    ['messages a string', `{"model":"a/b","messages":"${secret}"}`, 'invalid_parameter', 'messages'],
    ['50,000 messages', `{"model":"a/b","messages":[${'{},'.repeat(49_999)}{}]}`, 'invalid_parameter', 'messages'],
    ['300 parameters', `{${good},${Array.from({ length: 300 }, (_, at) => `"${at}":1`)}}`, 'invalid_json', null],
    ['a million values', `{${good},"tools":[${'1,'.repeat(1_000_000)}1]}`, 'invalid_parameter', null],
    ['a million brackets', `{${good},"tools":[${'[]'.repeat(1_000_000)}]}`, 'invalid_parameter', null],
    ['max_tokens -1', `{${good},"max_tokens":-1}`, 'invalid_parameter', 'max_tokens'],
    ['max_tokens 1.5', `{${good},"max_tokens":1.5}`, 'invalid_parameter', 'max_tokens'],
    ['max_tokens 1e309', `{${good},"max_tokens":1e309}`, 'invalid_parameter', 'max_tokens'],
    ['max_tokens text', `{${good},"max_tokens":"10"}`, 'invalid_parameter', 'max_tokens'],
    ['max_tokens 2^53', `{${good},"max_tokens":9007199254740992}`, 'invalid_parameter', 'max_tokens'],
    ['max_completion_tokens 0', `{${good},"max_completion_tokens":0}`, 'invalid_parameter', 'max_completion_tokens'],
    ['temperature NaN', `{${good},"temperature":"NaN"}`, 'invalid_parameter', 'temperature'],
    ['temperature 1e309', `{${good},"temperature":1e309}`, 'invalid_parameter', 'temperature'],
    ['n 1000', `{${good},"n":1000}`, 'invalid_parameter', 'n'],
    ['stream yes', `{${good},"stream":"yes"}`, 'invalid_parameter', 'stream'],
    ['base_url', `{${good},"base_url":"https://${secret}"}`, 'unsupported_parameter', 'base_url'],
    ['api_key', `{${good},"api_key":"${secret}"}`, 'unsupported_parameter', 'api_key'],
    ['escaped api_key', `{${good},"api\\u005fkey":"${secret}"}`, 'unsupported_parameter', 'api_key'],
    ['extra_headers', `{${good},"extra_headers":{}}`, 'unsupported_parameter', 'extra_headers'],
    ['another model by the back door', `{${good},"models":["openai/gpt-5.2"]}`, 'unsupported_parameter', 'models'],
    ['user of 1 MB', `{${good},"user":"${secret.repeat(100_000)}"}`, 'invalid_parameter', 'user'],
  ])('%s', (_name, body, code, param) => {
    const error = refusal(body)
    expect([error.status, error.code, error.param]).toEqual([400, code, param])
    expect(error.message).not.toContain(secret)
    expect(error.message.length).toBeLessThan(200)
  })
})

describe('the other endpoints', () => {
  test('take what their clients send', () => {
    expect(read('{"model":"a/b","input":"hi","stream":true}', 'responses')).toMatchObject({ streamed: true })
    expect(read('{"model":"a/b","input":[{"role":"user","content":"hi"}],"background":false}', 'responses').model).toBe(
      'a/b',
    )
    expect(read('{"model":"a/b","input":["x","y"],"dimensions":256}', 'embeddings').promptTokensEstimate).toBe(2)
    expect(read('{"model":"a/b","query":"q","documents":["x","y"],"top_n":1}', 'rerank').streamed).toBe(false)
    expect(read(`{"model":"a/b","input":[[${'100000,'.repeat(200_000)}1]]}`, 'embeddings').model).toBe('a/b')
    // An answer of a thousand tokens with their likelihoods, sent back; thousands of documents of several fields.
    const likely = `{"token":"a","logprob":-1,"top_logprobs":[${'{"token":"a","logprob":-1},'.repeat(20)}{}]},`.repeat(
      1_000,
    )
    expect(read(`{"model":"a/b","input":[{"logprobs":[${likely}{}]}]}`, 'responses').model).toBe('a/b')
    const document = '{"a":"x","b":"x","c":"x","d":"x","e":"x"},'.repeat(9_999)
    expect(read(`{"model":"a/b","query":"q","documents":[${document}{}]}`, 'rerank').model).toBe('a/b')
  })

  test.each<[string, Endpoint, string, string, string]>([
    ['responses without input', 'responses', '{"model":"a/b"}', 'missing_parameter', 'input'],
    ['an empty input', 'responses', '{"model":"a/b","input":""}', 'invalid_parameter', 'input'],
    ['an input of another kind', 'embeddings', '{"model":"a/b","input":{}}', 'invalid_parameter', 'input'],
    [
      'a reply in the background',
      'responses',
      '{"model":"a/b","input":"x","background":true}',
      'unsupported_parameter',
      'background',
    ],
    [
      'a stream of embeddings',
      'embeddings',
      '{"model":"a/b","input":"x","stream":true}',
      'unsupported_parameter',
      'stream',
    ],
    ['a ranking without a query', 'rerank', '{"model":"a/b","documents":["x"]}', 'missing_parameter', 'query'],
    ['a ranking of nothing', 'rerank', '{"model":"a/b","query":"q","documents":[]}', 'invalid_parameter', 'documents'],
  ])('refuse %s', (_name, endpoint, body, code, param) => {
    expect(refusal(body, endpoint)).toMatchObject({ status: 400, code, param })
  })
})

test('whether the client asked for the usage event is read from its options', () => {
  const asks = (options: string) => read(`{${good},"stream":true,"stream_options":${options}}`).asksForUsage
  expect([asks('{"include_usage":true}'), asks('{"include_usage": true , "x":1}')]).toEqual([true, true])
  expect([asks('{"include_usage":false}'), asks('{}'), asks('null')]).toEqual([false, false, false])
})
