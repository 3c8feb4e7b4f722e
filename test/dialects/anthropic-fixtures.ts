import { sse } from './stream-pieces.ts'

const start = (usage: object) => ({
  type: 'message_start',
  message: {
    id: 'msg_01',
    type: 'message',
    role: 'assistant',
    model: 'claude-opus-5',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage,
  },
})

const open = (index: number, content_block: object) => ({ type: 'content_block_start', index, content_block })
const delta = (index: number, piece: object) => ({ type: 'content_block_delta', index, delta: piece })
const close = (index: number) => ({ type: 'content_block_stop', index })

const finish = (stop_reason: string, usage: object) => [
  { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage },
  { type: 'message_stop' },
]

/** Plain text. The closing counts are cumulative and repeat the input. */
export const textStream = sse([
  start({ input_tokens: 25, cache_read_input_tokens: 0, cache_creation_input_tokens: 0, output_tokens: 1 }),
  open(0, { type: 'text', text: '' }),
  { type: 'ping' },
  delta(0, { type: 'text_delta', text: 'Grüße,' }),
  delta(0, { type: 'text_delta', text: ' 世界 😀 "error":{' }),
  close(0),
  { type: 'message_delta', delta: { stop_reason: null, stop_sequence: null }, usage: { output_tokens: 9 } },
  ...finish('end_turn', { input_tokens: 25, output_tokens: 15 }),
])

/** Thinking with its signature, hidden thinking, text, two parallel tool calls and one without arguments. */
export const toolStream = sse([
  start({
    input_tokens: 12,
    cache_creation_input_tokens: 300,
    cache_read_input_tokens: 1000,
    cache_creation: { ephemeral_5m_input_tokens: 300, ephemeral_1h_input_tokens: 0 },
    output_tokens: 2,
    service_tier: 'standard',
  }),
  open(0, { type: 'thinking', thinking: '', signature: '' }),
  delta(0, { type: 'thinking_delta', thinking: 'Two cities' }),
  delta(0, { type: 'thinking_delta', thinking: ', two calls.' }),
  delta(0, { type: 'signature_delta', signature: 'c2lnbmVk' }),
  close(0),
  open(1, { type: 'redacted_thinking', data: 'aGlkZGVu' }),
  close(1),
  open(2, { type: 'text', text: '' }),
  delta(2, { type: 'text_delta', text: 'Looking.' }),
  close(2),
  open(3, { type: 'tool_use', id: 'toolu_a', name: 'weather', input: {} }),
  delta(3, { type: 'input_json_delta', partial_json: '' }),
  delta(3, { type: 'input_json_delta', partial_json: '{"city": "Par' }),
  delta(3, { type: 'input_json_delta', partial_json: 'is", "id": 9007199254740993}' }),
  close(3),
  open(4, { type: 'tool_use', id: 'toolu_b', name: 'weather', input: {} }),
  delta(4, { type: 'input_json_delta', partial_json: '{"city":"東京"}' }),
  close(4),
  open(5, { type: 'tool_use', id: 'toolu_c', name: 'now', input: {} }),
  close(5),
  ...finish('tool_use', { output_tokens: 77, output_tokens_details: { thinking_tokens: 21 } }),
])

/** The same as `toolStream`, as a plain reply. */
export const toolReply = JSON.stringify({
  id: 'msg_01',
  type: 'message',
  role: 'assistant',
  model: 'claude-opus-5',
  content: [
    { type: 'thinking', thinking: 'Two cities, two calls.', signature: 'c2lnbmVk' },
    { type: 'redacted_thinking', data: 'aGlkZGVu' },
    { type: 'text', text: 'Looking.' },
    { type: 'tool_use', id: 'toolu_a', name: 'weather', input: { city: 'Paris', id: 'BIG' } },
    { type: 'tool_use', id: 'toolu_b', name: 'weather', input: { city: '東京' } },
    { type: 'tool_use', id: 'toolu_c', name: 'now', input: {} },
  ],
  stop_reason: 'tool_use',
  stop_sequence: null,
  usage: {
    input_tokens: 12,
    cache_creation_input_tokens: 300,
    cache_read_input_tokens: 1000,
    output_tokens: 77,
    output_tokens_details: { thinking_tokens: 21 },
  },
}).replace('"BIG"', '9007199254740993')

/** A provider that gives up in the middle. */
export const failedStream = sse([
  start({ input_tokens: 25, output_tokens: 1 }),
  open(0, { type: 'text', text: '' }),
  delta(0, { type: 'text_delta', text: 'Half' }),
  { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
  delta(0, { type: 'text_delta', text: 'never said' }),
])

export const stoppedBy = (reason: string) => sse([start({ input_tokens: 1, output_tokens: 1 }), ...finish(reason, {})])

/** A stream whose counts are written as given, to see which are believed. */
export const countedStream = (input: string, output: string): Buffer =>
  Buffer.from(
    sse([start({ input_tokens: 'IN', output_tokens: 1 }), ...finish('end_turn', { output_tokens: 'OUT' })])
      .toString('utf8')
      .replace('"IN"', input)
      .replace('"OUT"', output),
  )
