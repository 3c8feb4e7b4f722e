import { describe, expect, test } from 'vitest'
import { refused, upstream } from '#test/dialects/stream-pieces.ts'
import { anthropicMessages } from './anthropic-messages.ts'

const param = (chat: object, model = 'claude-opus-5') =>
  refused(() => JSON.stringify(upstream(anthropicMessages, chat, model)))
const user = (content: unknown) => ({ messages: [{ role: 'user', content }] })
const weather = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { id: { type: 'integer' } } } },
}

describe('what cannot be expressed is refused by name, never dropped', () => {
  const image = (url: string, more = {}) => user([{ type: 'image_url', image_url: { url, ...more } }])
  test.each<[string, object]>([
    ['temperature', { temperature: 1.01 }],
    ['n', { n: 2 }],
    ['logprobs', { logprobs: true }],
    ['top_logprobs', { top_logprobs: 3 }],
    ['logit_bias', { logit_bias: { 50256: -100 } }],
    ['seed', { seed: 7 }],
    ['presence_penalty', { presence_penalty: 0.1 }],
    ['frequency_penalty', { frequency_penalty: -1 }],
    ['audio', { audio: { voice: 'alloy', format: 'wav' } }],
    ['modalities', { modalities: ['text', 'audio'] }],
    ['prediction', { prediction: { type: 'content', content: 'x' } }],
    ['service_tier', { service_tier: 'priority' }],
    ['web_search_options', { web_search_options: {} }],
    ['verbosity', { verbosity: 'low' }],
    ['store', { store: true }],
    ['functions', { functions: [] }],
    ['function_call', { function_call: 'auto' }],
    ['prompt_cache_key', { prompt_cache_key: 'k' }],
    ['made_up', { made_up: 1 }],
    ['metadata.team', { metadata: { team: 'x' } }],
    ['user', { user: 'a', safety_identifier: 'b' }],
    ['response_format.type', { response_format: { type: 'json_object' } }],
    ['response_format.type', { response_format: { type: 'grammar' } }],
    ['response_format.json_schema.schema', { response_format: { type: 'json_schema', json_schema: { name: 'x' } } }],
    ['tool_choice', { tool_choice: 'required' }],
    ['tool_choice', { tools: [weather], tool_choice: { type: 'allowed_tools', allowed_tools: {} } }],
    ['tools[0].type', { tools: [{ type: 'custom', custom: { name: 'x' } }] }],
    ['tools[0].function.extra', { tools: [{ type: 'function', function: { name: 'x', extra: 1 } }] }],
    ['reasoning_effort', { reasoning_effort: 'enormous' }],
    ['reasoning.max_tokens', { reasoning: { max_tokens: 2000 } }],
    ['reasoning.exclude', { reasoning: { exclude: true } }],
    ['max_tokens', { max_tokens: 1, max_completion_tokens: 2 }],
    ['max_tokens', { max_tokens: 1.5 }],
    ['messages[0].name', { messages: [{ role: 'user', content: 'x', name: 'ann' }] }],
    ['messages[0].role', { messages: [{ role: 'function', name: 'f', content: 'x' }] }],
    ['messages[0].audio', { messages: [{ role: 'assistant', audio: { id: 'a' } }] }],
    ['messages[0].content', user('')],
    ['messages', { messages: [{ role: 'system', content: 'Be brief.' }] }],
    ['messages[0].content[0].type', user([{ type: 'input_audio', input_audio: { data: '', format: 'wav' } }])],
    ['messages[0].content[0].image_url.url', image('http://example.com/a.png')],
    ['messages[0].content[0].image_url.url', image('data:image/tiff;base64,AAAA')],
    ['messages[0].content[0].image_url.url', image('data:image/png,plain')],
    ['messages[0].content[0].image_url.detail', image('https://example.com/a.png', { detail: 'low' })],
    ['messages[0].content[0].file.file_id', user([{ type: 'file', file: { file_id: 'file-1' } }])],
    [
      'messages[0].content[0].cache_control.ttl',
      user([{ type: 'text', text: 'x', cache_control: { type: 'ephemeral', ttl: '9h' } }]),
    ],
    [
      'messages[0].tool_calls[0].function.arguments',
      {
        messages: [
          {
            role: 'assistant',
            tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{"a":' } }],
          },
        ],
      },
    ],
  ])('%s', (name, chat) => {
    expect(param(chat)).toBe(name)
  })

  test('arguments of calls that take long to read or overflow the stack: of one, and of all together', () => {
    const call = (text: string, n = 0) => ({
      role: 'assistant',
      tool_calls: [{ id: `a${n}`, type: 'function', function: { name: 'f', arguments: text } }],
    })
    const list = (count: number) => `{"a":[${'1.5,'.repeat(count)}1]}`
    const nested = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    for (const text of [list(60_000), nested, '[1]', '"a"', '{"a":1} {}'])
      expect(param({ messages: [call(text)] })).toBe('messages[0].tool_calls[0].function.arguments')
    const many = Array.from({ length: 6 }, (_, n) => call(list(9_000), n))
    expect(param({ messages: many })).toBe('messages[5].tool_calls[0].function.arguments')
    for (const text of [list(40_000), '', ' {"a":"[,{[,{"} '])
      expect(() => upstream(anthropicMessages, { messages: [call(text)] }, 'claude-opus-5')).not.toThrow()
  })

  test('effort on a model that cannot think, or with no room for it', () => {
    expect(param({ reasoning_effort: 'low' }, 'claude-3-5-haiku-latest')).toBe('reasoning_effort')
    expect(param({ reasoning_effort: 'low', max_tokens: 500 }, 'claude-sonnet-4-5')).toBe('reasoning_effort')
  })

  test('a body that only looked like JSON from outside', () => {
    const body = Buffer.from('{"model":"m","messages":[{"role":}]}')
    expect(refused(() => anthropicMessages.toUpstream({ body, model: 'm', streamed: false }))).toBe('body')
  })
})
