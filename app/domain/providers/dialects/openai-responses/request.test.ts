import { describe, expect, test } from 'vitest'
import { refused, upstream } from '#test/dialects/stream-pieces.ts'
import { openaiResponses } from './openai-responses.ts'

const sent = (chat: object, streamed = false) => upstream(openaiResponses, chat, 'gpt-5-mini', streamed)
const param = (chat: object) => refused(() => JSON.stringify(sent(chat)))
const user = (content: unknown) => ({ messages: [{ role: 'user', content }] })

test('nothing is left in the provider’s store', () => {
  expect(sent({})).toEqual({
    model: 'gpt-5-mini',
    input: [{ role: 'user', content: [{ type: 'input_text', text: 'hi' }] }],
    store: false,
  })
})

test('messages become items in their order, arguments and reasoning as they were', () => {
  const { input, include } = sent({
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'weather?' },
      {
        role: 'assistant',
        content: 'Looking.',
        refusal: null,
        reasoning_details: [
          { type: 'reasoning.summary', summary: 'Two ', id: 'rs_1', format: 'openai-responses-v1', index: 0 },
          { type: 'reasoning.summary', summary: 'calls.', id: 'rs_1', format: 'openai-responses-v1', index: 0 },
          { type: 'reasoning.encrypted', data: 'hid', id: 'rs_1', format: 'openai-responses-v1', index: 0 },
          { type: 'reasoning.text', text: 'foreign', signature: 's', format: 'anthropic-claude-v1', index: 1 },
        ],
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'weather', arguments: '{"id": 9007199254740993}' } },
          { id: 'b', type: 'function', function: { name: 'weather', arguments: '' } },
        ],
      },
      { role: 'tool', tool_call_id: 'a', content: 'warm' },
      {
        role: 'tool',
        tool_call_id: 'b',
        content: [
          { type: 'text', text: 'cold' },
          { type: 'text', text: 'wet' },
        ],
      },
      { role: 'developer', content: 'Be kind.' },
    ],
  })
  expect(input).toEqual([
    { role: 'system', content: [{ type: 'input_text', text: 'Be brief.' }] },
    { role: 'user', content: [{ type: 'input_text', text: 'weather?' }] },
    {
      type: 'reasoning',
      id: 'rs_1',
      summary: [{ type: 'summary_text', text: 'Two calls.' }],
      encrypted_content: 'hid',
    },
    { role: 'assistant', content: 'Looking.' },
    { type: 'function_call', call_id: 'a', name: 'weather', arguments: '{"id": 9007199254740993}' },
    { type: 'function_call', call_id: 'b', name: 'weather', arguments: '' },
    { type: 'function_call_output', call_id: 'a', output: 'warm' },
    {
      type: 'function_call_output',
      call_id: 'b',
      output: [
        { type: 'input_text', text: 'cold' },
        { type: 'input_text', text: 'wet' },
      ],
    },
    { role: 'developer', content: [{ type: 'input_text', text: 'Be kind.' }] },
  ])
  expect(include).toEqual(['reasoning.encrypted_content'])
})

test('pictures and files go as they came', () => {
  const { input } = sent(
    user([
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AA', detail: 'low' } },
      { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AA' } },
      { type: 'file', file: { file_id: 'file-1' } },
      { type: 'file', file: { file_data: 'https://example.com/a.pdf' } },
    ]),
  )
  expect(input[0].content).toEqual([
    { type: 'input_image', image_url: 'data:image/png;base64,AA', detail: 'low' },
    { type: 'input_image', image_url: 'https://example.com/a.png', detail: 'auto' },
    { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,AA' },
    { type: 'input_file', file_id: 'file-1' },
    { type: 'input_file', file_url: 'https://example.com/a.pdf' },
  ])
})

describe('settings', () => {
  test('what means the same in both APIs goes on as it stands', () => {
    const same = {
      ...{ temperature: 1.7, top_p: 0.9, user: 'u', safety_identifier: 's', metadata: { a: 'b' } },
      ...{ service_tier: 'flex', prompt_cache_key: 'k', prompt_cache_retention: '24h' },
    }
    expect(sent({ ...same, max_completion_tokens: 50, verbosity: 'low' })).toMatchObject({
      ...same,
      max_output_tokens: 50,
      text: { verbosity: 'low' },
    })
  })
  test('structured output, with and without a schema', () => {
    const schema = { type: 'object', properties: {} }
    const json_schema = { name: 'x', description: 'An x.', strict: true, schema }
    expect(sent({ response_format: { type: 'json_schema', json_schema } }).text).toEqual({
      format: { type: 'json_schema', ...json_schema },
    })
    expect(sent({ response_format: { type: 'json_object' } }).text).toEqual({ format: { type: 'json_object' } })
  })
  test('reasoning, whose encrypted form is asked for only where reasoning is', () => {
    expect(sent({ reasoning_effort: 'low' })).toMatchObject({
      reasoning: { effort: 'low' },
      include: ['reasoning.encrypted_content'],
    })
    expect(sent({ reasoning_effort: 'none' })).not.toHaveProperty('include')
    expect(sent({ reasoning: { effort: 'low', summary: 'auto' } }).reasoning).toEqual({
      effort: 'low',
      summary: 'auto',
    })
  })
  test('tools: what chat leaves unsaid is not strict, and here it has to be said', () => {
    const tools = [
      { type: 'function', function: { name: 'f' } },
      { type: 'function', function: { name: 'g', description: 'd', strict: true, parameters: { type: 'object' } } },
    ]
    expect(sent({ tools, parallel_tool_calls: false })).toMatchObject({
      parallel_tool_calls: false,
      tools: [
        { type: 'function', name: 'f', parameters: { type: 'object', properties: {} }, strict: false },
        { type: 'function', name: 'g', description: 'd', parameters: { type: 'object' }, strict: true },
      ],
    })
    const choice = (tool_choice: unknown) => sent({ tools, tool_choice }).tool_choice
    expect(['auto', 'none', 'required'].map(choice)).toEqual(['auto', 'none', 'required'])
    expect(choice({ type: 'function', function: { name: 'f' } })).toEqual({ type: 'function', name: 'f' })
  })
  test('a stream is asked for, with the padding the caller wants', () => {
    expect(sent({ stream_options: { include_usage: true, include_obfuscation: false } }, true)).toMatchObject({
      stream: true,
      stream_options: { include_obfuscation: false },
    })
    expect(sent({ stream_options: { include_usage: true } }, true)).not.toHaveProperty('stream_options')
  })
})

describe('what cannot be expressed is refused by name, never dropped', () => {
  const marked = { type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }
  test.each<[string, object]>([
    ['stop', { stop: 'END' }],
    ['n', { n: 2 }],
    ['logprobs', { logprobs: true }],
    ['top_logprobs', { top_logprobs: 2 }],
    ['logit_bias', { logit_bias: { 1: 1 } }],
    ['seed', { seed: 7 }],
    ['presence_penalty', { presence_penalty: 0.1 }],
    ['frequency_penalty', { frequency_penalty: 0.1 }],
    ['audio', { audio: {} }],
    ['modalities', { modalities: ['text', 'audio'] }],
    ['prediction', { prediction: {} }],
    ['web_search_options', { web_search_options: {} }],
    ['store', { store: true }],
    ['top_k', { top_k: 5 }],
    ['functions', { functions: [] }],
    ['made_up', { made_up: 1 }],
    ['reasoning.max_tokens', { reasoning: { max_tokens: 2000 } }],
    ['messages[0].content[0].cache_control', user([marked])],
    [
      'messages[0].cache_control',
      { messages: [{ role: 'tool', tool_call_id: 'a', content: 'x', cache_control: { type: 'ephemeral' } }] },
    ],
    [
      'tools[0].cache_control',
      { tools: [{ type: 'function', function: { name: 'f' }, cache_control: { type: 'ephemeral' } }] },
    ],
    ['messages[0].content[0].type', user([{ type: 'input_audio', input_audio: {} }])],
    ['messages[0].content', user([])],
    ['messages[0].name', { messages: [{ role: 'user', name: 'ann', content: 'x' }] }],
  ])('%s', (name, chat) => {
    expect(param(chat)).toBe(name)
  })
})
