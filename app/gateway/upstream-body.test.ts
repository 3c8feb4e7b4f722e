import { describe, expect, test } from 'vitest'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { GatewayError } from './gateway-error.ts'
import { readInferenceRequest } from './inference-request.ts'
import { renamedLimit } from './most-of-call.ts'
import { toUpstreamBody } from './upstream-body.ts'

const messages = '"messages":[{"role":"user","content":"h\\u00e9 12345678901234567890"}]'

function upstream(provider: ProviderId, body: string, upstreamModel = 'a/b', limit: number | null = null) {
  const request = readInferenceRequest('chat', Buffer.from(body))
  const route = { keySource: 'workspace' as const, provider, upstreamModel, key: null, hosted: null }
  const { body: bytes, hidesUsage } = toUpstreamBody(request, route, limit)
  return { text: bytes.toString('utf8'), hidesUsage, same: bytes === request.bytes }
}

describe('a body goes out as it came', () => {
  test('where nothing has to change', () => {
    expect(upstream('openrouter', `{"model":"a/b","stream":true,${messages}}`)).toMatchObject({
      same: true,
      hidesUsage: false,
    })
    expect(upstream('openai', `{"model":"a/b",${messages}}`)).toMatchObject({ same: true, hidesUsage: false })
  })
  test('but for the model’s id at the provider, every other byte untouched', () => {
    expect(upstream('crof', `{ "model" : "x/y" , ${messages}, "seed":1.50 }`).text).toBe(
      `{"model":"a/b",${messages},"seed":1.50}`,
    )
  })
})

describe('usage is asked for where the provider does not tell it unasked', () => {
  test('and the event is hidden from a client that did not ask', () => {
    expect(upstream('openai', `{"model":"a/b","stream":true,${messages}}`)).toEqual({
      text: `{"model":"a/b","stream":true,${messages},"stream_options":{"include_usage":true}}`,
      hidesUsage: true,
      same: false,
    })
  })
  test('beside the client’s other options, and against its will', () => {
    const { text } = upstream(
      'groq',
      `{"model":"a/b","stream":true,"stream_options":{"include_usage":false,"x":{"y":1}},${messages}}`,
    )
    expect(JSON.parse(text).stream_options).toEqual({ include_usage: true, x: { y: 1 } })
  })
  test('not where the client asked itself', () => {
    const asked = `{"model":"a/b","stream":true,"stream_options":{"include_usage":true},${messages}}`
    expect(upstream('openai', asked)).toMatchObject({ same: true, hidesUsage: false })
  })
  test('never of a provider that it harms', () => {
    const body = `{"model":"a/b","stream":true,"stream_options":{"include_usage":true},"user":"u",${messages}}`
    expect(JSON.parse(upstream('nvidia', body).text)).not.toHaveProperty('stream_options')
  })
})

describe('a limit that the gateway adds', () => {
  const limited = (provider: ProviderId, body = `{"model":"a/b",${messages}}`) =>
    JSON.parse(upstream(provider, body, 'a/b', 700).text)
  test.each<[ProviderId, (sent: Record<string, unknown>) => unknown]>([
    ['openrouter', ({ max_tokens }) => max_tokens],
    ['deepseek', ({ max_tokens }) => max_tokens],
    ['nvidia', ({ max_tokens }) => max_tokens],
    ['openai', ({ max_completion_tokens }) => max_completion_tokens],
    ['azure', ({ max_completion_tokens }) => max_completion_tokens],
    ['openai-responses', ({ max_output_tokens }) => max_output_tokens],
    ['anthropic', ({ max_tokens }) => max_tokens],
    ['bedrock', ({ inferenceConfig }) => (inferenceConfig as { maxTokens: number }).maxTokens],
  ])('goes to %s under the name that it knows, and no other', (provider, limitIn) => {
    const sent = limited(provider)
    expect(limitIn(sent)).toBe(700)
    expect(JSON.stringify(sent).match(/max_?(?:completion_?|output_?)?tokens/gi)).toHaveLength(1)
  })
  test('takes the place of one of null', () => {
    const body = `{"model":"a/b",${messages},"max_completion_tokens":null,"max_tokens":null}`
    expect(limited('openrouter', body)).toMatchObject({ max_tokens: 700 })
    expect(limited('openrouter', body)).not.toHaveProperty('max_completion_tokens')
  })
  test('of a response is its own', () => {
    const request = readInferenceRequest('responses', Buffer.from('{"model":"a/b","input":"x"}'))
    const route = { keySource: 'workspace' as const, provider: 'openai' as const, upstreamModel: 'a/b', key: null }
    const { body } = toUpstreamBody(request, { ...route, hosted: null }, 700)
    expect(JSON.parse(body.toString())).toEqual({ model: 'a/b', input: 'x', max_output_tokens: 700 })
  })
})

describe('a limit under the newer name alone', () => {
  const limitAt = (provider: ProviderId, more: string) =>
    renamedLimit(readInferenceRequest('chat', Buffer.from(`{"model":"a/b",${messages}${more}}`)), providerOf(provider))
  test.each<[ProviderId, string, number | null]>([
    ['deepseek', ',"max_completion_tokens":5', 5],
    ['deepseek', ',"max_completion_tokens":5,"max_tokens":null', 5],
    ['deepseek', ',"max_completion_tokens":5,"max_tokens":9', null],
    ['deepseek', ',"max_tokens":9', null],
    ['openai', ',"max_completion_tokens":5', null],
    ['anthropic', ',"max_completion_tokens":5', null],
  ])('at %s with %s is renamed to %s', (provider, more, limit) => {
    expect(limitAt(provider, more)).toBe(limit)
  })
  test('takes the place of the name that the host passes over', () => {
    const body = `{"model":"a/b",${messages},"max_completion_tokens":5}`
    const sent = JSON.parse(upstream('deepseek', body, 'a/b', 5).text)
    expect(sent).toMatchObject({ max_tokens: 5 })
    expect(sent).not.toHaveProperty('max_completion_tokens')
  })
})

test('what a strict provider does not know is refused by name, not dropped', () => {
  expect(() => upstream('nvidia', `{"model":"a/b","logit_magic":1,${messages}}`)).toThrow(GatewayError)
  expect(() => upstream('nvidia', `{"model":"a/b","logit_magic":1,${messages}}`)).toThrow("'logit_magic'")
})

test('what a dialect cannot express is a 400 that names the parameter', () => {
  try {
    upstream('anthropic', `{"model":"a/b","logprobs":true,${messages}}`)
    throw new Error('was accepted')
  } catch (error) {
    expect(error).toMatchObject({ status: 400, code: 'unsupported_parameter', param: 'logprobs' })
  }
})
