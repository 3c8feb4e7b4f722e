import { describe, expect, test } from 'vitest'
import { refused, upstream } from '#test/dialects/stream-pieces.ts'
import { bedrockConverse } from './bedrock-converse.ts'

const claude = 'us.anthropic.claude-opus-4-6-v1'
const sent = (chat: object, model = claude) => upstream(bedrockConverse, chat, model)
const param = (chat: object, model?: string) => refused(() => JSON.stringify(sent(chat, model)))
const user = (content: unknown) => ({ messages: [{ role: 'user', content }] })
const tools = [{ type: 'function', function: { name: 'weather', strict: true } }]
const called = [
  { role: 'user', content: 'weather?' },
  { role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'weather', arguments: '{}' } }] },
  { role: 'tool', tool_call_id: 'a', content: 'warm' },
]

describe('messages', () => {
  test('instructions stand before the conversation, cache marks become cache points', () => {
    const cache_control = { type: 'ephemeral', ttl: '1h' }
    const point = { cachePoint: { type: 'default', ttl: '1h' } }
    const { system, messages, toolConfig } = sent({
      messages: [
        { role: 'system', content: [{ type: 'text', text: 'Be brief.', cache_control }] },
        { role: 'user', content: [{ type: 'text', text: 'a', cache_control }] },
        { role: 'user', content: 'b' },
      ],
      tools: [{ ...tools[0], cache_control }],
    })
    expect(system).toEqual([{ text: 'Be brief.' }, point])
    expect(messages).toEqual([{ role: 'user', content: [{ text: 'a' }, point, { text: 'b' }] }])
    expect(toolConfig.tools).toMatchObject([{ toolSpec: { name: 'weather', strict: true } }, point])
  })

  test('the results of parallel calls come together, numbers in arguments intact, signed thinking goes back', () => {
    const call = (id: string, text: string) => ({
      id,
      type: 'function',
      function: { name: 'weather', arguments: text },
    })
    const body = JSON.stringify({
      messages: [
        { role: 'user', content: 'weather?' },
        {
          role: 'assistant',
          reasoning_details: [
            { type: 'reasoning.text', text: 'Two.', signature: 'sig', format: 'anthropic-claude-v1' },
            { type: 'reasoning.encrypted', data: 'hid', format: 'anthropic-claude-v1' },
          ],
          tool_calls: [call('a', '{"id":9007199254740993}'), call('b', '')],
        },
        { role: 'tool', tool_call_id: 'a', content: 'warm' },
        { role: 'tool', tool_call_id: 'b', content: '' },
      ],
      tools,
    })
    const text = bedrockConverse.toUpstream({ body: Buffer.from(body), model: claude, streamed: true }).toString()
    expect(text).toContain('"input":{"id":9007199254740993}')
    expect(JSON.parse(text).messages.slice(1)).toMatchObject([
      {
        role: 'assistant',
        content: [
          { reasoningContent: { reasoningText: { text: 'Two.', signature: 'sig' } } },
          { reasoningContent: { redactedContent: 'hid' } },
          { toolUse: { toolUseId: 'a', name: 'weather' } },
          { toolUse: { toolUseId: 'b', name: 'weather', input: {} } },
        ],
      },
      {
        role: 'user',
        content: [
          { toolResult: { toolUseId: 'a', content: [{ text: 'warm' }] } },
          { toolResult: { toolUseId: 'b', content: [] } },
        ],
      },
    ])
    const other = upstream(bedrockConverse, JSON.parse(body), 'amazon.nova-pro-v1:0')
    expect(JSON.stringify(other)).not.toContain('reasoningContent')
  })

  test('pictures and documents are bytes, and no two documents share a name', () => {
    const pdf = {
      type: 'file',
      file: { filename: 'Q3 – report_v2.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' },
    }
    const { messages } = sent(
      user([
        { type: 'text', text: 'x' },
        { type: 'image_url', image_url: { url: 'data:image/jpeg;base64,/9j/', detail: 'auto' } },
        pdf,
        pdf,
        { type: 'file', file: { file_data: 'data:text/plain;base64,SGFsbG8=' } },
      ]),
    )
    expect(messages[0].content.slice(1)).toEqual([
      { image: { format: 'jpeg', source: { bytes: '/9j/' } } },
      { document: { format: 'pdf', name: 'Q3 report v2', source: { bytes: 'JVBERi0=' } } },
      { document: { format: 'pdf', name: 'Q3 report v2 2', source: { bytes: 'JVBERi0=' } } },
      { document: { format: 'txt', name: 'document', source: { bytes: 'SGFsbG8=' } } },
    ])
  })
})

describe('settings', () => {
  test('limits, sampling, stops, end user, metadata and tier', () => {
    const settings = { max_tokens: 7, temperature: 0.5, top_p: 0.9, top_k: 5, stop: ['a', 'b'] }
    expect(sent({ ...settings, user: 'u-1', metadata: { team: 'x' }, service_tier: 'flex' })).toMatchObject({
      inferenceConfig: { maxTokens: 7, temperature: 0.5, topP: 0.9, stopSequences: ['a', 'b'] },
      additionalModelRequestFields: { top_k: 5 },
      requestMetadata: { team: 'x', user: 'u-1' },
      serviceTier: { type: 'flex' },
    })
    expect(Object.keys(sent({ service_tier: 'auto', n: 1 }))).toEqual(['messages'])
  })
  test('structured output is native; the schema travels as text, its numbers intact', () => {
    const body = JSON.stringify({
      ...user('x'),
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'x', description: 'An x.', schema: { type: 'object', maximum: 'MAX' } },
      },
    }).replace('"MAX"', '9007199254740993')
    const text = bedrockConverse.toUpstream({ body: Buffer.from(body), model: claude, streamed: false }).toString()
    expect(JSON.parse(text).outputConfig).toEqual({
      textFormat: {
        type: 'json_schema',
        structure: {
          jsonSchema: {
            name: 'x',
            description: 'An x.',
            schema: '{"type":"object","maximum":9007199254740993}',
          },
        },
      },
    })
  })
})

describe('tools', () => {
  test.each([
    [{ tool_choice: 'auto' }, { auto: {} }],
    [{ tool_choice: 'required' }, { any: {} }],
    [{ tool_choice: { type: 'function', function: { name: 'weather' } } }, { tool: { name: 'weather' } }],
    [{}, undefined],
  ])('%j', (choice, expected) => {
    expect(sent({ tools, ...choice }).toolConfig.toolChoice).toEqual(expected)
  })
  test('tools that may not be used are not offered', () => {
    expect(sent({ tools, tool_choice: 'none' })).not.toHaveProperty('toolConfig')
  })
  test('one at a time is said in Claude’s own words', () => {
    const request = sent({ tools, tool_choice: 'required', parallel_tool_calls: false })
    expect(request.toolConfig).not.toHaveProperty('toolChoice')
    expect(request.additionalModelRequestFields).toEqual({
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
    })
  })
})

describe('reasoning, as each family of models takes it', () => {
  test.each<[string, object, object]>([
    [claude, { reasoning_effort: 'high' }, { thinking: { type: 'adaptive' }, output_config: { effort: 'high' } }],
    [claude, { reasoning_effort: 'none' }, { thinking: { type: 'disabled' } }],
    ['openai.gpt-oss-120b-1:0', { reasoning_effort: 'minimal' }, { reasoning_effort: 'low' }],
    ['us.openai.gpt-5.6-luna', { reasoning_effort: 'xhigh' }, { reasoning: { effort: 'xhigh' } }],
    [
      'us.amazon.nova-2-lite-v1:0',
      { reasoning_effort: 'medium' },
      { reasoningConfig: { type: 'enabled', maxReasoningEffort: 'medium' } },
    ],
  ])('%s %j', (model, chat, expected) => {
    expect(sent(chat, model).additionalModelRequestFields).toEqual(expected)
  })
  test('a budget comes with the limit it is a share of', () => {
    expect(sent({ reasoning_effort: 'low' }, 'us.anthropic.claude-sonnet-4-5-20250929-v1:0')).toMatchObject({
      inferenceConfig: { maxTokens: 32_000 },
      additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 6400 } },
    })
  })
})

describe('what cannot be expressed is refused by name, never dropped', () => {
  const image = (url: string) => user([{ type: 'image_url', image_url: { url } }])
  const nova = 'amazon.nova-pro-v1:0'
  test.each<[string, object, string?]>([
    ['temperature', { temperature: 1.5 }],
    ['n', { n: 2 }],
    ['logprobs', { logprobs: true }],
    ['logit_bias', { logit_bias: { 1: 1 } }],
    ['seed', { seed: 7 }],
    ['presence_penalty', { presence_penalty: 0.1 }],
    ['frequency_penalty', { frequency_penalty: 1 }],
    ['audio', { audio: {} }],
    ['modalities', { modalities: ['audio'] }],
    ['prediction', { prediction: {} }],
    ['service_tier', { service_tier: 'scale' }],
    ['web_search_options', { web_search_options: {} }],
    ['verbosity', { verbosity: 'low' }],
    ['store', { store: true }],
    ['cache_control', { cache_control: { type: 'ephemeral' } }],
    ['made_up', { made_up: 1 }],
    ['response_format.type', { response_format: { type: 'json_object' } }],
    ['tool_choice', { messages: called, tools, tool_choice: 'none' }],
    ['tools', { messages: called }],
    ['top_k', { top_k: 5 }, nova],
    ['parallel_tool_calls', { tools, parallel_tool_calls: false }, nova],
    ['reasoning_effort', { reasoning_effort: 'high' }, nova],
    ['reasoning_effort', { reasoning_effort: 'max' }, 'openai.gpt-oss-20b-1:0'],
    ['messages[0].content[0].image_url.url', image('https://example.com/a.png')],
    ['messages[0].content[0].image_url.url', image('data:image/svg+xml;base64,AAAA')],
    [
      'messages[0].content[0].file.file_data',
      user([{ type: 'file', file: { file_data: 'https://example.com/a.pdf' } }]),
    ],
    ['messages[0].content[0].file.file_id', user([{ type: 'file', file: { file_id: 'file-1' } }])],
    ['metadata.user', { user: 'a', metadata: { user: 'b' } }],
    ['messages', { messages: [{ role: 'developer', content: 'Be brief.' }] }],
  ])('%s', (name, chat, model) => {
    expect(param(chat, model)).toBe(name)
  })
})
