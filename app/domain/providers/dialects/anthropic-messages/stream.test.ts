import { describe, expect, test } from 'vitest'
import { readStreamTail } from '#app/domain/providers/stream-usage.ts'
import { StreamEnd } from '#app/gateway/stream-end.ts'
import { countedStream, failedStream, stoppedBy, textStream, toolStream } from '#test/dialects/anthropic-fixtures.ts'
import { readAsOpenAi } from '#test/dialects/openai-reader.ts'
import { chatEvents, context, cutsThatMatter, reasoningIn, translate } from '#test/dialects/stream-pieces.ts'
import { TranslationError } from '../dialect.ts'
import { anthropicMessages } from './anthropic-messages.ts'

const run = (bytes: Buffer) => translate(anthropicMessages, [bytes])
const events = (bytes: Buffer) => chatEvents(run(bytes).text)

describe('a stream comes out the same however it was cut', () => {
  test.each([
    ['text', textStream],
    ['tools', toolStream],
    ['failed', failedStream],
    ['CR LF', Buffer.from(textStream.toString('utf8').replaceAll('\n', '\r\n'))],
    ['CR', Buffer.from(textStream.toString('utf8').replaceAll('\n', '\r'))],
  ])('%s', (_name, bytes) => {
    expect(cutsThatMatter(anthropicMessages, bytes)).toEqual([])
  })
  test('line ends make no difference', () => {
    const written = textStream.toString('utf8')
    for (const end of ['\r\n', '\r']) expect(run(Buffer.from(written.replaceAll('\n', end)))).toEqual(run(textStream))
  })
})

describe('what a client reads', () => {
  test('text, finish, usage, and the end mark only at the provider’s own end', () => {
    const said = events(textStream)
    expect(said[0]).toEqual({
      id: 'msg_01',
      object: 'chat.completion.chunk',
      created: context.created,
      model: 'claude-opus-5',
      choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }],
    })
    expect(said.slice(-3)).toMatchObject([
      { choices: [{ delta: {}, finish_reason: 'stop' }] },
      { choices: [], usage: { prompt_tokens: 25, completion_tokens: 15, total_tokens: 40 } },
      '[DONE]',
    ])
    const before = textStream.subarray(0, textStream.lastIndexOf('event: message_stop'))
    expect(run(before)).toMatchObject({ ended: false, text: expect.not.stringMatching(/DONE|"usage"|"stop"/) })
    expect(run(textStream).ended).toBe(true)
  })

  test('the official client assembles text, parallel tool calls, reasoning, finish and usage', async () => {
    const text = await readAsOpenAi(run(textStream).text)
    expect(text.choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: 'Grüße, 世界 😀 "error":{' },
    })
    const tools = await readAsOpenAi(run(toolStream).text)
    expect(tools.choices[0]?.finish_reason).toBe('tool_calls')
    expect(tools.choices[0]?.message.tool_calls).toMatchObject([
      { id: 'toolu_a', function: { name: 'weather', arguments: '{"city": "Paris", "id": 9007199254740993}' } },
      { id: 'toolu_b', function: { name: 'weather', arguments: '{"city":"東京"}' } },
      { id: 'toolu_c', function: { name: 'now', arguments: '{}' } },
    ])
    expect(tools.usage).toEqual({
      prompt_tokens: 1312,
      completion_tokens: 77,
      total_tokens: 1389,
      prompt_tokens_details: { cached_tokens: 1000, cache_write_tokens: 300 },
      completion_tokens_details: { reasoning_tokens: 21 },
    })
  })

  test('reasoning comes as text and, for the way back, with its signature', () => {
    const deltas = events(toolStream).flatMap((event) => event.choices?.[0]?.delta ?? [])
    expect(reasoningIn(run(toolStream).text)).toBe('Two cities, two calls.')
    const details = deltas.flatMap((delta) => delta.reasoning_details ?? [])
    expect(details.at(-2)).toEqual({
      type: 'reasoning.text',
      text: '',
      signature: 'c2lnbmVk',
      format: 'anthropic-claude-v1',
      index: 0,
    })
    expect(details.at(-1)).toEqual({
      type: 'reasoning.encrypted',
      data: 'aGlkZGVu',
      format: 'anthropic-claude-v1',
      index: 1,
    })
  })

  test.each([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['pause_turn', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['tool_use', 'tool_calls'],
    ['refusal', 'content_filter'],
    ['a reason of the future', 'stop'],
  ])('stop reason %s is finish reason %s', (reason, finish) => {
    expect(events(stoppedBy(reason)).at(-3).choices[0].finish_reason).toBe(finish)
  })
})

describe('what the gateway reads', () => {
  test('its own reader finds the usage, inclusive, and the last counts, not their sum', () => {
    expect(readStreamTail(run(textStream).text)).toMatchObject({
      tokens: { input: 25, output: 15 },
      model: 'claude-opus-5',
      generationId: 'msg_01',
      failed: false,
    })
    expect(readStreamTail(run(toolStream).text).tokens).toEqual({
      input: 1312,
      output: 77,
      cacheRead: 1000,
      cacheWrite: 300,
      reasoning: 21,
    })
  })
  test.each(['1e309', '1.7', '-1', '"12"', 'null', '9007199254740993'])(
    'with counts of %s the usage is unknown, and the stream still ends well',
    (count) => {
      for (const [input, output] of [
        [count, '5'],
        ['5', count === 'null' ? '-1' : count],
      ] as const) {
        const said = run(countedStream(input, output))
        expect(readStreamTail(said.text).tokens).toBe(null)
        expect(said.text.endsWith('data: [DONE]\n\n')).toBe(true)
      }
    },
  )
  test('an error becomes an error event, nothing follows it, and no end mark', () => {
    const said = run(failedStream)
    expect(said.ended).toBe(false)
    expect(chatEvents(said.text).at(-1)).toEqual({
      error: { message: 'Overloaded', type: 'overloaded_error', code: 'overloaded_error' },
    })
    expect(readStreamTail(said.text)).toMatchObject({ failed: true, errorCode: 'overloaded_error', tokens: null })
    expect(new StreamEnd().sign(Buffer.from(said.text))?.kind).toBe('error')
    expect(new StreamEnd().sign(Buffer.from(run(textStream).text))?.kind).toBe('end')
  })
})

describe('hostile bytes', () => {
  test.each(['data: {"type":\n\n', 'data: []\n\n', 'data: 7\n\n', 'data: <html>\n\n'])('%j is refused', (text) => {
    expect(() => run(Buffer.from(text))).toThrow(TranslationError)
  })
  test('a line of more than 1 MiB is refused', () => {
    expect(() => run(Buffer.from(`data: "${'a'.repeat(1024 * 1024)}"\n\n`))).toThrow(TranslationError)
  })
  test('what follows the end is not looked at', () => {
    const more = Buffer.concat([textStream, Buffer.from('data: garbage\n\n')])
    expect(run(more)).toEqual(run(textStream))
  })
  test('events of kinds that come later are passed over', () => {
    const later = Buffer.from('event: later\ndata: {"type":"later","index":0}\n\n')
    expect(run(Buffer.concat([later, textStream]))).toEqual(run(textStream))
  })
  test('pieces of blocks that were never opened do no harm', () => {
    const stray =
      'data: {"type":"content_block_delta","index":9,"delta":{"type":"input_json_delta","partial_json":"x"}}\n\n'
    expect(run(Buffer.from(stray)).text).toBe('')
  })
})
