import { describe, expect, test } from 'vitest'
import { readReply } from '#app/domain/providers/usage.ts'
import { toolReply } from '#test/dialects/bedrock-fixtures.ts'
import { context } from '#test/dialects/stream-pieces.ts'
import { bedrockConverse } from './bedrock-converse.ts'

const replies = bedrockConverse.replies({ ...context, model: 'us.anthropic.claude-opus-4-6-v1' })
const whole = (body: string) => replies.whole(Buffer.from(body))?.toString('utf8') ?? null

test('a reply with thinking and parallel tool calls is a chat completion', () => {
  const chat = JSON.parse(whole(toolReply)!)
  expect(chat).toMatchObject({ id: 'call-1', object: 'chat.completion', model: 'us.anthropic.claude-opus-4-6-v1' })
  expect(chat.choices[0]).toMatchObject({
    finish_reason: 'tool_calls',
    message: {
      role: 'assistant',
      content: 'Looking.',
      reasoning: 'Two cities, two calls.',
      reasoning_details: [
        { type: 'reasoning.text', signature: 'c2lnbmVk', format: 'anthropic-claude-v1', index: 0 },
        { type: 'reasoning.encrypted', data: 'aGlkZGVu', format: 'anthropic-claude-v1', index: 1 },
      ],
      tool_calls: [
        { id: 'tooluse_a', function: { name: 'weather', arguments: '{"city":"Paris","id":9007199254740993}' } },
        { id: 'tooluse_b', function: { name: 'weather', arguments: '{"city":"東京"}' } },
        { id: 'tooluse_c', function: { name: 'now', arguments: '{}' } },
      ],
    },
  })
  expect(readReply(JSON.stringify(chat))?.tokens).toEqual({
    input: 1312,
    output: 77,
    cacheRead: 1000,
    cacheWrite: 300,
    reasoning: 0,
  })
})

test('what is kept in the cache for an hour is told apart: it costs more', () => {
  const tokensWith = (cacheDetails: unknown) => {
    const reply = JSON.parse(toolReply)
    return readReply(whole(JSON.stringify({ ...reply, usage: { ...reply.usage, cacheDetails } })) ?? '')?.tokens
  }
  const details = [
    { ttl: '1h', inputTokens: 120 },
    { ttl: '1h', inputTokens: 80 },
    { ttl: '5m', inputTokens: 100 },
  ]
  expect(tokensWith(details)).toMatchObject({ cacheWrite: 300, cacheWriteHour: 200 })
  expect(tokensWith([{ ttl: '5m', inputTokens: 300 }])).not.toHaveProperty('cacheWriteHour')
  for (const nothing of [[], null, undefined, 'x']) expect(tokensWith(nothing)).toMatchObject({ cacheWrite: 300 })
  expect(tokensWith([{ ttl: '1h', inputTokens: -1 }])).toBeNull()
})

describe('what is no reply of this provider', () => {
  test.each(['', '[]', '{}', '<html>', '{"output":{"message":{}}}', '{"message":"no"}'])('%j', (body) => {
    expect(whole(body)).toBe(null)
  })
})

test('an error keeps Bedrock’s words, and its name where the body says it', () => {
  const error = (body: string) => replies.error(Buffer.from(body))
  expect(error('{"message":"The security token is invalid."}')).toBe(
    '{"error":{"message":"The security token is invalid.","type":"api_error","code":null}}',
  )
  expect(error('{"Message":"Denied.","__type":"com.amazon.coral.service#AccessDeniedException"}')).toBe(
    '{"error":{"message":"Denied.","type":"AccessDeniedException","code":"AccessDeniedException"}}',
  )
  for (const other of ['{}', 'nginx', '{"error":{"message":"x"}}']) expect(error(other)).toBe(null)
})
