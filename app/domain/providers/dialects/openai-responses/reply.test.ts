import { describe, expect, test } from 'vitest'
import { readReply } from '#app/domain/providers/usage.ts'
import { reply, toolReply } from '#test/dialects/responses-fixtures.ts'
import { context } from '#test/dialects/stream-pieces.ts'
import { openaiResponses } from './openai-responses.ts'

const replies = openaiResponses.replies(context)
const whole = (body: string) => replies.whole(Buffer.from(body))?.toString('utf8') ?? null

test('a response with reasoning and parallel tool calls is a chat completion', () => {
  const chat = JSON.parse(whole(toolReply)!)
  expect(chat).toMatchObject({ id: 'resp_01', object: 'chat.completion', model: 'gpt-5-mini-2025-08-07' })
  expect(chat.choices[0]).toMatchObject({
    finish_reason: 'tool_calls',
    message: {
      content: null,
      reasoning: 'Two cities.\n\nTwo calls.',
      tool_calls: [
        { id: 'call_a', function: { name: 'weather', arguments: '{"city": "Paris", "id": 9007199254740993}' } },
        { id: 'call_b', function: { name: 'weather', arguments: '{"city":"東京"}' } },
        { id: 'call_c', function: { name: 'now', arguments: '{}' } },
      ],
    },
  })
  expect(chat.choices[0].message.reasoning_details.at(-1)).toMatchObject({
    type: 'reasoning.encrypted',
    data: 'aGlkZGVu',
    id: 'rs_1',
  })
  expect(readReply(JSON.stringify(chat))?.tokens).toMatchObject({
    input: 1312,
    output: 77,
    cacheRead: 1000,
    reasoning: 21,
  })
})

test('a refusal is a refusal, not content', () => {
  const output = [{ type: 'message', role: 'assistant', content: [{ type: 'refusal', refusal: 'I can’t.' }] }]
  expect(JSON.parse(whole(reply({ output }))!).choices[0].message).toMatchObject({ content: '', refusal: 'I can’t.' })
})

test('what was cut short says why', () => {
  const incomplete_details = { reason: 'max_output_tokens' }
  expect(JSON.parse(whole(reply({ status: 'incomplete', incomplete_details }))!).choices[0].finish_reason).toBe(
    'length',
  )
})

test('a response that failed under a good status is an error the gateway sees', () => {
  const failed = whole(reply({ status: 'failed', error: { code: 'server_error', message: 'Sorry.' } }))!
  expect(JSON.parse(failed)).toEqual({ error: { message: 'Sorry.', type: 'api_error', code: 'server_error' } })
  expect(readReply(failed)).toMatchObject({ failed: true, errorCode: 'server_error', tokens: null })
})

describe('what is no reply of this provider', () => {
  test.each(['', '[]', '{}', '<html>', '{"object":"response"}', '{"object":"chat.completion","choices":[]}'])(
    '%j',
    (body) => {
      expect(whole(body)).toBe(null)
    },
  )
})

test('an error keeps the provider’s words, the parameter and the code', () => {
  const error = (body: string) => replies.error(Buffer.from(body))
  expect(
    error('{"error":{"message":"No.","type":"invalid_request_error","param":"input","code":"unsupported_value"}}'),
  ).toBe('{"error":{"message":"No.","type":"invalid_request_error","param":"input","code":"unsupported_value"}}')
  expect(error('{"error":{"code":401,"message":"Denied."}}')).toBe(
    '{"error":{"message":"Denied.","type":"api_error","code":"401"}}',
  )
  for (const other of ['{}', 'nginx', '{"error":"text"}']) expect(error(other)).toBe(null)
})
