import { describe, expect, test } from 'vitest'
import { readReply } from '#app/domain/providers/usage.ts'
import { toolReply } from '#test/dialects/anthropic-fixtures.ts'
import { context } from '#test/dialects/stream-pieces.ts'
import { anthropicMessages } from './anthropic-messages.ts'

const replies = anthropicMessages.replies(context)
const whole = (body: string) => replies.whole(Buffer.from(body))?.toString('utf8') ?? null
const message = (change: object) =>
  JSON.stringify({ type: 'message', id: 'msg_2', content: [], usage: { input_tokens: 1, output_tokens: 2 }, ...change })

test('a reply with thinking and parallel tool calls is a chat completion', () => {
  const chat = JSON.parse(whole(toolReply)!)
  expect(chat).toMatchObject({
    id: 'msg_01',
    object: 'chat.completion',
    model: 'claude-opus-5',
    created: context.created,
  })
  expect(chat.choices).toEqual([
    {
      index: 0,
      finish_reason: 'tool_calls',
      logprobs: null,
      message: {
        role: 'assistant',
        content: 'Looking.',
        refusal: null,
        reasoning: 'Two cities, two calls.',
        reasoning_details: [
          {
            type: 'reasoning.text',
            text: 'Two cities, two calls.',
            signature: 'c2lnbmVk',
            format: 'anthropic-claude-v1',
            index: 0,
          },
          { type: 'reasoning.encrypted', data: 'aGlkZGVu', format: 'anthropic-claude-v1', index: 1 },
        ],
        tool_calls: [
          {
            id: 'toolu_a',
            type: 'function',
            function: { name: 'weather', arguments: '{"city":"Paris","id":9007199254740993}' },
          },
          { id: 'toolu_b', type: 'function', function: { name: 'weather', arguments: '{"city":"東京"}' } },
          { id: 'toolu_c', type: 'function', function: { name: 'now', arguments: '{}' } },
        ],
      },
    },
  ])
})

test('the gateway reads inclusive counts from it', () => {
  expect(readReply(whole(toolReply)!)).toMatchObject({
    tokens: { input: 1312, output: 77, cacheRead: 1000, cacheWrite: 300, reasoning: 21 },
    model: 'claude-opus-5',
    generationId: 'msg_01',
  })
})

test('a reply without names takes those of the call; without text its content is empty, with calls only it is null', () => {
  const bare = JSON.parse(whole(message({ id: undefined }))!)
  expect(bare).toMatchObject({ id: 'call-1', model: 'asked/model', choices: [{ message: { content: '' } }] })
  const calling = message({ content: [{ type: 'tool_use', id: 'x', name: 'f', input: {} }] })
  expect(JSON.parse(whole(calling)!).choices[0].message.content).toBe(null)
})

test('counts that cannot be true leave the usage out', () => {
  expect(JSON.parse(whole(message({ usage: { input_tokens: 1.5, output_tokens: 2 } }))!)).not.toHaveProperty('usage')
  expect(JSON.parse(whole(message({ usage: undefined }))!)).not.toHaveProperty('usage')
})

describe('what is no reply of this provider', () => {
  test.each(['', '[]', '{}', '<html>', '{"type":"message"}', '{"object":"chat.completion","choices":[]}'])(
    '%j',
    (body) => {
      expect(whole(body)).toBe(null)
    },
  )
})

test('an error keeps the provider’s words', () => {
  const error =
    '{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"},"request_id":"r"}'
  expect(replies.error(Buffer.from(error))).toBe(
    '{"error":{"message":"max_tokens: too large","type":"invalid_request_error","code":"invalid_request_error"}}',
  )
  for (const other of ['{}', 'nginx', '{"type":"error"}', '{"error":{"message":"x"}}'])
    expect(replies.error(Buffer.from(other))).toBe(null)
})

test('tokens kept in the cache for an hour are told apart, down to the ledger: they cost more', () => {
  const cache_creation = { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 200 }
  const usage = { input_tokens: 5, output_tokens: 7, cache_creation_input_tokens: 300, cache_creation }
  const reply = whole(message({ usage }))
  expect(readReply(String(reply))?.tokens).toEqual({
    ...{ input: 305, output: 7, cacheRead: 0, cacheWrite: 300, cacheWriteHour: 200, reasoning: 0 },
  })
})
