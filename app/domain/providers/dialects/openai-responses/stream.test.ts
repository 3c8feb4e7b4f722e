import { describe, expect, test } from 'vitest'
import { readStreamTail } from '#app/domain/providers/stream-usage.ts'
import { readAsOpenAi } from '#test/dialects/openai-reader.ts'
import {
  countedStream,
  endedBy,
  erredBy,
  refusedStream,
  textStream,
  toolStream,
} from '#test/dialects/responses-fixtures.ts'
import { chatEvents, cutsThatMatter, reasoningIn, translate } from '#test/dialects/stream-pieces.ts'
import { TranslationError } from '../dialect.ts'
import { openaiResponses } from './openai-responses.ts'

const run = (bytes: Buffer) => translate(openaiResponses, [bytes])
const events = (bytes: Buffer) => chatEvents(run(bytes).text)

describe('a stream comes out the same however it was cut', () => {
  test.each([
    ['text', textStream],
    ['tools', toolStream],
    ['refused', refusedStream],
    ['failed', erredBy({ code: 'server_error', message: 'Sorry.', param: null })],
  ])('%s', (_name, bytes) => {
    expect(cutsThatMatter(openaiResponses, bytes)).toEqual([])
  })
})

describe('what a client reads', () => {
  test('text, finish, usage, and the end mark only at the provider’s own end', () => {
    const said = events(textStream)
    expect(said[0]).toMatchObject({ id: 'resp_01', model: 'gpt-5-mini-2025-08-07', object: 'chat.completion.chunk' })
    expect(said.slice(-3)).toMatchObject([
      { choices: [{ delta: {}, finish_reason: 'stop' }] },
      { choices: [], usage: { prompt_tokens: 1312, completion_tokens: 77, total_tokens: 1389 } },
      '[DONE]',
    ])
    const before = textStream.subarray(0, textStream.lastIndexOf('event: response.completed'))
    expect(run(before)).toMatchObject({ ended: false, text: expect.not.stringMatching(/DONE|"usage"|"stop"/) })
    expect(run(textStream).ended).toBe(true)
  })
  test('the official client assembles text, overlapping tool calls, refusal, finish and usage', async () => {
    const text = await readAsOpenAi(run(textStream).text)
    expect(text.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'Grüße, 世界 😀' } })
    const tools = await readAsOpenAi(run(toolStream).text)
    expect(tools.choices[0]?.finish_reason).toBe('tool_calls')
    expect(tools.choices[0]?.message.tool_calls).toMatchObject([
      { id: 'call_a', function: { name: 'weather', arguments: '{"city": "Paris", "id": 9007199254740993}' } },
      { id: 'call_b', function: { name: 'weather', arguments: '{"city":"東京"}' } },
      { id: 'call_c', function: { name: 'now', arguments: '{}' } },
    ])
    expect(tools.usage).toEqual({
      prompt_tokens: 1312,
      completion_tokens: 77,
      total_tokens: 1389,
      prompt_tokens_details: { cached_tokens: 1000, cache_write_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 21 },
    })
    const refused = await readAsOpenAi(run(refusedStream).text)
    expect(refused.choices[0]?.message.refusal).toBe('I can’t.')
  })
  test('reasoning comes in paragraphs and, for the way back, encrypted', () => {
    expect(reasoningIn(run(toolStream).text)).toBe('Two cities.\n\nTwo calls.')
    const details = events(toolStream).flatMap((said) => said.choices?.[0]?.delta.reasoning_details ?? [])
    expect(details.at(-1)).toEqual({
      type: 'reasoning.encrypted',
      data: 'aGlkZGVu',
      id: 'rs_1',
      format: 'openai-responses-v1',
      index: 0,
    })
  })
  test.each([
    ['response.incomplete', { incomplete_details: { reason: 'max_output_tokens' } }, 'length'],
    ['response.incomplete', { incomplete_details: { reason: 'content_filter' } }, 'content_filter'],
    ['response.incomplete', { incomplete_details: null }, 'stop'],
    ['response.completed', {}, 'stop'],
  ])('%s %j is finish reason %s', (type, change, finish) => {
    const said = events(endedBy(type, change))
    expect(said.at(-3).choices[0].finish_reason).toBe(finish)
    expect(said.at(-1)).toBe('[DONE]')
  })
})

describe('what the gateway reads', () => {
  test('counts as the provider gave them, which are inclusive', () => {
    expect(readStreamTail(run(toolStream).text)).toMatchObject({
      tokens: { input: 1312, output: 77, cacheRead: 1000, cacheWrite: 0, reasoning: 21 },
      model: 'gpt-5-mini-2025-08-07',
      generationId: 'resp_01',
    })
  })
  test.each(['1e309', '1.7', '-1', '"12"', 'null', '9007199254740993'])('counts of %s are unknown', (count) => {
    for (const bytes of [countedStream(count, '5'), countedStream('5', count)]) {
      expect(readStreamTail(run(bytes).text).tokens).toBe(null)
      expect(run(bytes).ended).toBe(true)
    }
  })
  test.each([
    ['an error event', erredBy({ code: 'rate_limit_exceeded', message: 'Slow down.', param: null })],
    ['an error event as Azure nests it', erredBy({ error: { code: 'rate_limit_exceeded', message: 'Slow down.' } })],
    [
      'a failed response',
      endedBy('response.failed', { status: 'failed', error: { code: 'rate_limit_exceeded', message: 'Slow down.' } }),
    ],
  ])('%s ends the reply with an error and without end mark', (_name, bytes) => {
    const said = run(bytes)
    expect(chatEvents(said.text).at(-1)).toEqual({
      error: { message: 'Slow down.', type: 'api_error', code: 'rate_limit_exceeded' },
    })
    expect(said.ended).toBe(false)
    expect(readStreamTail(said.text)).toMatchObject({ failed: true, errorCode: 'rate_limit_exceeded' })
  })
})

describe('hostile bytes', () => {
  test.each(['data: {"type":\n\n', 'data: []\n\n', 'data: <html>\n\n'])('%j is refused', (text) => {
    expect(() => run(Buffer.from(text))).toThrow(TranslationError)
  })
  test('the last event may repeat a response of over a megabyte, but not without bound', () => {
    const long = (size: number) =>
      Buffer.from(`data: {"type":"response.completed","response":{"output":["${'a'.repeat(size)}"]}}\n\n`)
    expect(run(long(2_000_000)).ended).toBe(true)
    expect(() => run(long(5_000_000))).toThrow(TranslationError)
  })
  test('an end mark of a chat stream, which some servers add, says nothing', () => {
    const marked = Buffer.concat([Buffer.from('data: [DONE]\n\n'), textStream, Buffer.from('data: [DONE]\n\n')])
    expect(run(marked)).toEqual(run(textStream))
  })
})
