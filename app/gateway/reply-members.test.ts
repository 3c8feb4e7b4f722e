/** What the last events of a stream of Responses say, however much of the caller's own they repeat. */
import { expect, test } from 'vitest'
import { readLastEvents } from './reply-members.ts'

const reply = { id: 'resp_1', model: 'gpt-5', usage: { input_tokens: 7, output_tokens: 5, total_tokens: 12 } }
const event = (name: string, data: object, eol = '\n') =>
  `event: ${name}${eol}data: ${JSON.stringify({ type: name, ...data })}${eol}${eol}`
const tokens = { input: 7, output: 5 }

test.each(['\n', '\r\n', '\r'])('usage, model and id of the reply that the last event wraps', (eol) => {
  const early = event('response.in_progress', { response: { ...reply, usage: null } }, eol)
  expect(readLastEvents(early + event('response.completed', { response: reply }, eol))).toMatchObject({
    ...{ tokens, model: 'gpt-5', generationId: 'resp_1', failed: false, errorCode: null, usageRefused: false },
  })
})

test('data over several lines, and an event whose blank line never came', () => {
  const lines = JSON.stringify({ response: reply }, null, 1).split('\n')
  expect(readLastEvents(lines.map((line) => `data: ${line}`).join('\n')).tokens).toMatchObject(tokens)
})

test('a reply that failed, an error of the stream’s own, and a usage that cannot be true', () => {
  const failed = { ...reply, error: { code: 'server_error', message: 'x' } }
  expect(readLastEvents(event('response.failed', { response: failed }))).toMatchObject({
    ...{ failed: true, errorCode: 'server_error', tokens },
  })
  const completed = event('response.completed', { response: reply })
  expect(readLastEvents(completed + event('error', { error: { code: 'late' } }))).toMatchObject({
    ...{ failed: true, errorCode: 'late', tokens },
  })
  const wrong = event('response.completed', { response: { ...reply, usage: { input_tokens: -1, output_tokens: 5 } } })
  expect(readLastEvents(wrong)).toMatchObject({ tokens: null, usageRefused: true })
})

test('the provider’s own tools are counted from the output', () => {
  const output = [{ type: 'web_search_call' }, { type: 'function_call' }]
  expect(readLastEvents(event('response.completed', { response: { ...reply, output } })).tokens?.apart).toEqual({
    tool: 1,
  })
})

test.each(['', 'data: [DONE]', 'data: {"response":', 'data: {"response":[]}', 'data: []', ': comment'])(
  'what is no such event says nothing: %s',
  (text) => expect(readLastEvents(text)).toMatchObject({ tokens: null, failed: false, model: null }),
)

test('words of the caller’s own decide nothing, and megabytes of them are passed over', () => {
  const instructions = `"usage":{"input_tokens":1,"output_tokens":1}${'many words '.repeat(1_000_000)}`
  const text = event('response.completed', { response: { instructions, ...reply } })
  expect(readLastEvents(text).tokens).toMatchObject(tokens)
})
