import { describe, expect, test } from 'vitest'
import { upstream } from '#test/dialects/stream-pieces.ts'
import { anthropicMessages } from './anthropic-messages.ts'

const sent = (chat: object, model = 'claude-opus-5', streamed = false) =>
  upstream(anthropicMessages, chat, model, streamed)
const user = (content: unknown) => ({ messages: [{ role: 'user', content }] })
const weather = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { id: { type: 'integer' } } } },
}

describe('messages', () => {
  test('instructions stand before the conversation, neighbours of one role are one message', () => {
    const { system, messages } = sent({
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'a' },
        { role: 'user', content: [{ type: 'text', text: 'b', cache_control: { type: 'ephemeral', ttl: '1h' } }] },
        { role: 'developer', content: [{ type: 'text', text: 'Be kind.' }] },
        { role: 'assistant', content: '' },
        { role: 'user', content: 'c' },
      ],
    })
    expect(system).toEqual([
      { type: 'text', text: 'Be brief.' },
      { type: 'text', text: 'Be kind.' },
    ])
    expect(messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b', cache_control: { type: 'ephemeral', ttl: '1h' } },
          { type: 'text', text: 'c' },
        ],
      },
    ])
  })

  test('the results of parallel calls come together, numbers in arguments intact, signed thinking goes back', () => {
    const body = JSON.stringify({
      model: 'm',
      messages: [
        { role: 'user', content: 'weather?' },
        {
          role: 'assistant',
          content: null,
          refusal: null,
          reasoning: 'Two.',
          reasoning_details: [
            { type: 'reasoning.text', text: 'Tw', format: 'anthropic-claude-v1', index: 0 },
            { type: 'reasoning.text', text: 'o.', format: 'anthropic-claude-v1', index: 0 },
            { type: 'reasoning.text', text: '', signature: 'sig', format: 'anthropic-claude-v1', index: 0 },
            { type: 'reasoning.encrypted', data: 'hid', format: 'anthropic-claude-v1', index: 1 },
            { type: 'reasoning.encrypted', data: 'foreign', format: 'openai-responses-v1', index: 2 },
            { type: 'reasoning.text', text: 'unsigned', index: 3 },
          ],
          tool_calls: [
            { id: 'a', type: 'function', function: { name: 'weather', arguments: '{"id":9007199254740993,"x":1.0}' } },
            { id: 'b', type: 'function', function: { name: 'weather', arguments: '' } },
          ],
        },
        { role: 'tool', tool_call_id: 'a', content: 'warm' },
        {
          role: 'tool',
          tool_call_id: 'b',
          content: [{ type: 'text', text: 'cold', cache_control: { type: 'ephemeral' } }],
        },
        { role: 'user', content: 'and?' },
      ],
    })
    const text = anthropicMessages
      .toUpstream({ body: Buffer.from(body), model: 'claude-opus-5', streamed: false })
      .toString('utf8')
    expect(text).toContain('"input":{"id":9007199254740993,"x":1.0}')
    expect(JSON.parse(text).messages.slice(1)).toMatchObject([
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Two.', signature: 'sig' },
          { type: 'redacted_thinking', data: 'hid' },
          { type: 'tool_use', id: 'a', name: 'weather' },
          { type: 'tool_use', id: 'b', name: 'weather', input: {} },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'a', content: 'warm' },
          {
            type: 'tool_result',
            tool_use_id: 'b',
            content: 'cold',
            cache_control: { type: 'ephemeral' },
          },
          { type: 'text', text: 'and?' },
        ],
      },
    ])
  })

  test('pictures and documents: data URLs as bytes, https URLs as they are', () => {
    const { messages } = sent(
      user([
        { type: 'image_url', image_url: { url: 'data:image/PNG;base64,iVBORw0=', detail: 'high' } },
        { type: 'image_url', image_url: { url: 'https://example.com/a.jpg' } },
        { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
        { type: 'file', file: { file_data: 'data:text/plain;base64,SGFsbG8=' } },
      ]),
    )
    expect(messages[0].content).toEqual([
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0=' } },
      { type: 'image', source: { type: 'url', url: 'https://example.com/a.jpg' } },
      {
        type: 'document',
        source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' },
        title: 'a.pdf',
      },
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'Hallo' } },
    ])
  })
})

describe('settings', () => {
  test('tokens: the provider wants a limit, so there is a default for every model', () => {
    expect(sent({ max_tokens: 7 }).max_tokens).toBe(7)
    expect(sent({ max_completion_tokens: 8, max_tokens: null }).max_tokens).toBe(8)
    expect(sent({}).max_tokens).toBe(32_000)
    expect(sent({}, 'claude-3-5-haiku-20241022').max_tokens).toBe(8192)
    expect(sent({}, 'claude-3-haiku-20240307').max_tokens).toBe(4096)
  })

  test('sampling, stop sequences, end user and tier', () => {
    expect(
      sent(
        { temperature: 1, top_p: 0.9, top_k: 5, stop: 'END', user: 'u-1', service_tier: 'default', stream: true },
        'claude-opus-5',
        true,
      ),
    ).toMatchObject({
      model: 'claude-opus-5',
      temperature: 1,
      top_p: 0.9,
      top_k: 5,
      stop_sequences: ['END'],
      metadata: { user_id: 'u-1' },
      service_tier: 'standard_only',
      stream: true,
    })
    expect(sent({ metadata: { user_id: 'u-2' } }).metadata).toEqual({ user_id: 'u-2' })
    expect(sent({ safety_identifier: 'u-3', cache_control: { type: 'ephemeral' } })).toMatchObject({
      metadata: { user_id: 'u-3' },
      cache_control: { type: 'ephemeral' },
    })
  })

  test('what means the same as saying nothing is not refused', () => {
    const bare = sent({})
    const neutral = {
      ...{ n: 1, store: false, logprobs: false, top_logprobs: 0, presence_penalty: 0, frequency_penalty: 0.0 },
      ...{ logit_bias: {}, modalities: ['text'], stop: [], response_format: { type: 'text' }, seed: null },
      ...{ stream_options: { include_usage: true }, usage: { include: true }, tools: [], tool_choice: 'auto' },
      ...{ parallel_tool_calls: true, reasoning_effort: null, audio: null, whatever: null, metadata: {} },
    }
    expect(sent(neutral)).toEqual(bare)
  })

  test('structured output is native, the description of a schema is kept', () => {
    const schema = { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: false }
    const response_format = {
      type: 'json_schema',
      json_schema: { name: 'x', description: 'An x.', strict: true, schema },
    }
    expect(sent({ response_format }).output_config).toEqual({
      format: { type: 'json_schema', schema: { description: 'An x.', ...schema } },
    })
  })
})

describe('tools', () => {
  const tools = [weather]
  test('definitions keep their schema, strictness and cache mark', () => {
    const body = JSON.stringify({
      messages: [{ role: 'user', content: 'x' }],
      tools: [
        {
          type: 'function',
          cache_control: { type: 'ephemeral' },
          function: { name: 'f', description: 'd', strict: true, parameters: { type: 'object', maximum: 'MAX' } },
        },
        { type: 'function', function: { name: 'g' } },
        { type: 'function', function: { name: 'h', parameters: {} } },
      ],
    }).replace('"MAX"', '9007199254740993')
    const text = anthropicMessages.toUpstream({ body: Buffer.from(body), model: 'm', streamed: false }).toString()
    expect(text).toContain('"maximum":9007199254740993')
    expect(JSON.parse(text).tools).toMatchObject([
      {
        name: 'f',
        description: 'd',
        strict: true,
        cache_control: { type: 'ephemeral' },
        input_schema: { type: 'object' },
      },
      { name: 'g', input_schema: { type: 'object', properties: {} } },
      { name: 'h', input_schema: { type: 'object' } },
    ])
  })
  test.each([
    [{ tool_choice: 'auto' }, { type: 'auto' }],
    [{ tool_choice: 'none', parallel_tool_calls: false }, { type: 'none' }],
    [{ tool_choice: 'required' }, { type: 'any' }],
    [{ tool_choice: { type: 'function', function: { name: 'weather' } } }, { type: 'tool', name: 'weather' }],
    [{ parallel_tool_calls: false }, { type: 'auto', disable_parallel_tool_use: true }],
    [
      { tool_choice: 'required', parallel_tool_calls: false },
      { type: 'any', disable_parallel_tool_use: true },
    ],
    [{}, undefined],
  ])('%j', (choice, expected) => {
    expect(sent({ tools, ...choice }).tool_choice).toEqual(expected)
  })
})

describe('reasoning', () => {
  test.each([
    [
      'claude-opus-5',
      'high',
      { thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'high' } },
    ],
    ['claude-opus-4-6', 'minimal', { thinking: { type: 'adaptive' }, output_config: { effort: 'low' } }],
    ['claude-opus-5', 'none', { thinking: { type: 'disabled' } }],
    ['claude-sonnet-4-5-20250929', 'medium', { thinking: { type: 'enabled', budget_tokens: 5000 } }],
    ['claude-opus-4-20250514', 'low', { thinking: { type: 'enabled', budget_tokens: 2000 } }],
    ['claude-3-7-sonnet-latest', 'minimal', { thinking: { type: 'enabled', budget_tokens: 1024 } }],
  ])('%s at %s', (model, reasoning_effort, expected) => {
    expect(sent({ reasoning_effort, max_tokens: 10_000 }, model)).toMatchObject(expected)
  })
  test('without effort the model’s own habit stands, and "none" says nothing to a model that only thinks when told', () => {
    expect(sent({})).not.toHaveProperty('thinking')
    expect(sent({ reasoning_effort: 'none' }, 'claude-sonnet-4-5')).not.toHaveProperty('thinking')
    expect(sent({ reasoning_effort: 'none' }, 'claude-3-haiku-20240307')).not.toHaveProperty('thinking')
  })
  test('OpenRouter’s form says the same', () => {
    expect(sent({ reasoning: { effort: 'high' } })).toEqual(sent({ reasoning_effort: 'high' }))
    expect(sent({ reasoning: { enabled: true } })).toEqual(sent({ reasoning_effort: 'medium' }))
    expect(sent({ reasoning: { max_tokens: 3000 } }, 'claude-sonnet-4-5').thinking.budget_tokens).toBe(3000)
  })
  test('effort and format share one member', () => {
    const response_format = { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object' } } }
    expect(sent({ reasoning_effort: 'low', response_format }).output_config).toMatchObject({
      effort: 'low',
      format: { type: 'json_schema' },
    })
  })
})

test('a picture of 10 MB holds up the process little longer than reading it does', () => {
  const url = `data:image/png;base64,${'A'.repeat(10_000_000)}`
  const body = Buffer.from(JSON.stringify({ ...user([{ type: 'image_url', image_url: { url } }]), model: 'm' }))
  const fastest = (work: () => Buffer) =>
    Math.min(
      ...[1, 2, 3].map(() => {
        const begun = performance.now()
        expect(work().length).toBeGreaterThan(10_000_000)
        return performance.now() - begun
      }),
    )
  const translated = fastest(() => anthropicMessages.toUpstream({ body, model: 'm', streamed: false }))
  // A slow machine takes as much longer to read JSON and write it again.
  const copied = fastest(() => Buffer.from(JSON.stringify(JSON.parse(body.toString()))))
  expect(translated).toBeLessThan(Math.max(400, 10 * copied))
})
