import { sse } from './stream-pieces.ts'

const response = (change: object) => ({
  id: 'resp_01',
  object: 'response',
  created_at: 1_760_000_000,
  model: 'gpt-5-mini-2025-08-07',
  status: 'in_progress',
  error: null,
  incomplete_details: null,
  output: [],
  usage: null,
  ...change,
})

let sequence = 0
const event = (type: string, members: object) => ({ type, sequence_number: sequence++, ...members })
const opening = () => [
  event('response.created', { response: response({}) }),
  event('response.in_progress', { response: response({}) }),
]

const usage = {
  input_tokens: 1312,
  input_tokens_details: { cached_tokens: 1000 },
  output_tokens: 77,
  output_tokens_details: { reasoning_tokens: 21 },
  total_tokens: 1389,
}

const textDelta = (delta: string) =>
  event('response.output_text.delta', { item_id: 'msg_1', output_index: 0, content_index: 0, delta, logprobs: [] })

const message = (text: string) => ({
  id: 'msg_1',
  type: 'message',
  status: 'completed',
  role: 'assistant',
  content: [{ type: 'output_text', text, annotations: [], logprobs: [] }],
})

export const textStream = sse([
  ...opening(),
  event('response.output_item.added', { output_index: 0, item: { ...message(''), content: [] } }),
  event('response.content_part.added', {
    item_id: 'msg_1',
    output_index: 0,
    content_index: 0,
    part: { type: 'output_text', text: '', annotations: [] },
  }),
  textDelta('Grüße,'),
  textDelta(' 世界 😀'),
  event('response.output_text.done', { item_id: 'msg_1', output_index: 0, content_index: 0, text: 'Grüße, 世界 😀' }),
  event('response.output_item.done', { output_index: 0, item: message('Grüße, 世界 😀') }),
  event('response.completed', {
    response: response({ status: 'completed', output: [message('Grüße, 世界 😀')], usage }),
  }),
])

const thought = {
  id: 'rs_1',
  type: 'reasoning',
  encrypted_content: 'aGlkZGVu',
  summary: [
    { type: 'summary_text', text: 'Two cities.' },
    { type: 'summary_text', text: 'Two calls.' },
  ],
}
const call = (id: string, name: string, args: string) => ({
  ...{ id: `fc_${id}`, type: 'function_call', status: 'completed', arguments: args, call_id: `call_${id}`, name },
})

const paris = '{"city": "Paris", "id": 9007199254740993}'
const output = [thought, call('a', 'weather', paris), call('b', 'weather', '{"city":"東京"}'), call('c', 'now', '{}')]

const summary = (summary_index: number, delta: string) =>
  event('response.reasoning_summary_text.delta', { item_id: 'rs_1', output_index: 0, summary_index, delta })
const summaryPart = (summary_index: number) =>
  event('response.reasoning_summary_part.added', {
    item_id: 'rs_1',
    output_index: 0,
    summary_index,
    part: { type: 'summary_text', text: '' },
  })
const added = (output_index: number, item: { arguments: string }) =>
  event('response.output_item.added', { output_index, item: { ...item, arguments: '', status: 'in_progress' } })
const argued = (output_index: number, item_id: string, delta: string) =>
  event('response.function_call_arguments.delta', { output_index, item_id, delta })
const done = (output_index: number, item: object) => event('response.output_item.done', { output_index, item })

/** Reasoning in two paragraphs, two parallel tool calls that overlap, and one whose arguments come only at its end. */
export const toolStream = sse([
  ...opening(),
  event('response.output_item.added', { output_index: 0, item: { ...thought, summary: [], encrypted_content: 'x' } }),
  summaryPart(0),
  summary(0, 'Two '),
  summary(0, 'cities.'),
  summaryPart(1),
  summary(1, 'Two calls.'),
  done(0, thought),
  added(1, output[1] as { arguments: string }),
  argued(1, 'fc_a', '{"city": "Par'),
  added(2, output[2] as { arguments: string }),
  argued(2, 'fc_b', '{"city":"東京"}'),
  argued(1, 'fc_a', 'is", "id": 9007199254740993}'),
  done(1, output[1]!),
  done(2, output[2]!),
  added(3, output[3] as { arguments: string }),
  done(3, output[3]!),
  event('response.completed', { response: response({ status: 'completed', output, usage }) }),
])

export const toolReply = JSON.stringify(response({ status: 'completed', output, usage }))

export const reply = (change: object) => JSON.stringify(response({ status: 'completed', ...change }))

export const endedBy = (type: string, change: object) =>
  sse([...opening(), textDelta('Half'), event(type, { response: response({ usage, ...change }) })])

export const refusedStream = sse([
  ...opening(),
  event('response.refusal.delta', { item_id: 'msg_1', output_index: 0, content_index: 0, delta: 'I can’t.' }),
  event('response.completed', { response: response({ status: 'completed', usage }) }),
])

export const erredBy = (members: object) =>
  sse([...opening(), textDelta('Half'), event('error', members), textDelta('x')])

/** A stream whose counts are written as given, to see which are believed. */
export const countedStream = (input: string, out: string): Buffer =>
  Buffer.from(
    sse([event('response.completed', { response: response({ usage: { input_tokens: 'IN', output_tokens: 'OUT' } }) })])
      .toString('utf8')
      .replace('"IN"', input)
      .replace('"OUT"', out),
  )
