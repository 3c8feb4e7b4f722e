import { describe, expect, test } from 'vitest'
import { readStreamTail } from '#app/domain/providers/stream-usage.ts'
import {
  countedStream,
  event,
  exception,
  failedStream,
  frame,
  stoppedBy,
  textStream,
  toolStream,
} from '#test/dialects/bedrock-fixtures.ts'
import { readAsOpenAi } from '#test/dialects/openai-reader.ts'
import { chatEvents, cutsThatMatter, reasoningIn, translate } from '#test/dialects/stream-pieces.ts'
import { TranslationError } from '../dialect.ts'
import { bedrockConverse } from './bedrock-converse.ts'

const run = (bytes: Buffer) => translate(bedrockConverse, [bytes])
const events = (bytes: Buffer) => chatEvents(run(bytes).text)

describe('a stream comes out the same however its frames were cut', () => {
  test.each([
    ['text', textStream],
    ['tools', toolStream],
    ['failed', failedStream],
  ])('%s', (_name, bytes) => {
    expect(cutsThatMatter(bedrockConverse, bytes)).toEqual([])
  })
})

describe('what a client reads', () => {
  test('the call’s own id and model, since Bedrock names neither; the end mark only after the usage', () => {
    const said = events(textStream)
    expect(said[0]).toMatchObject({ id: 'call-1', model: 'asked/model', choices: [{ delta: { role: 'assistant' } }] })
    expect(said.slice(-3)).toMatchObject([
      { choices: [{ delta: {}, finish_reason: 'stop' }] },
      { choices: [], usage: { prompt_tokens: 25, completion_tokens: 15, total_tokens: 40 } },
      '[DONE]',
    ])
    const before = textStream.subarray(0, textStream.length - 1)
    expect(run(before)).toMatchObject({ ended: false, text: expect.not.stringMatching(/DONE|"usage"|"stop"/) })
    expect(run(textStream).ended).toBe(true)
  })
  test('the official client assembles text, parallel tool calls, finish and usage', async () => {
    const text = await readAsOpenAi(run(textStream).text)
    expect(text.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'Grüße, 世界 😀' } })
    const tools = await readAsOpenAi(run(toolStream).text)
    expect(tools.choices[0]?.finish_reason).toBe('tool_calls')
    expect(tools.choices[0]?.message.tool_calls).toMatchObject([
      { id: 'tooluse_a', function: { name: 'weather', arguments: '{"city": "Paris", "id": 9007199254740993}' } },
      { id: 'tooluse_b', function: { name: 'weather', arguments: '{"city":"東京"}' } },
      { id: 'tooluse_c', function: { name: 'now', arguments: '{}' } },
    ])
    expect(tools.usage).toEqual({
      prompt_tokens: 1312,
      completion_tokens: 77,
      total_tokens: 1389,
      prompt_tokens_details: { cached_tokens: 1000, cache_write_tokens: 300 },
    })
  })
  test('reasoning comes as text and, for the way back, with its signature', () => {
    expect(reasoningIn(run(toolStream).text)).toBe('Two cities, two calls.')
    const details = events(toolStream).flatMap((said) => said.choices?.[0]?.delta.reasoning_details ?? [])
    expect(details.slice(-2)).toMatchObject([
      { type: 'reasoning.text', signature: 'c2lnbmVk', index: 0 },
      { type: 'reasoning.encrypted', data: 'aGlkZGVu', index: 1 },
    ])
  })
  test.each([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['tool_use', 'tool_calls'],
    ['guardrail_intervened', 'content_filter'],
    ['content_filtered', 'content_filter'],
    ['malformed_model_output', 'stop'],
  ])('stop reason %s is finish reason %s', (reason, finish) => {
    expect(events(stoppedBy(reason)).at(-3).choices[0].finish_reason).toBe(finish)
  })
})

describe('what the gateway reads', () => {
  test('inclusive counts', () => {
    expect(readStreamTail(run(toolStream).text)).toMatchObject({
      tokens: { input: 1312, output: 77, cacheRead: 1000, cacheWrite: 300, reasoning: 0 },
      failed: false,
    })
  })
  test.each(['1e309', '1.7', '-1', '"12"', 'null', '9007199254740993'])('counts of %s are unknown', (count) => {
    for (const bytes of [countedStream(count, '5'), countedStream('5', count)]) {
      expect(readStreamTail(run(bytes).text).tokens).toBe(null)
      expect(run(bytes).ended).toBe(true)
    }
  })
  test.each([
    'throttlingException',
    'modelStreamErrorException',
    'internalServerException',
    'serviceUnavailableException',
    'validationException',
  ])('%s becomes an error event, nothing follows it, and no end mark', (name) => {
    const said = run(Buffer.concat([exception(name, { message: 'Slow down.' }), textStream]))
    expect(chatEvents(said.text)).toEqual([{ error: { message: 'Slow down.', type: name, code: name } }])
    expect(said.ended).toBe(false)
    expect(readStreamTail(said.text)).toMatchObject({ failed: true, errorCode: name })
  })
  test('so does an error frame, which has no body', () => {
    const headers = { ':message-type': 'error', ':error-code': 'InternalError', ':error-message': 'Sorry.' }
    expect(events(frame(headers, ''))).toEqual([
      { error: { message: 'Sorry.', type: 'InternalError', code: 'InternalError' } },
    ])
    expect(events(failedStream).at(-1).error.code).toBe('modelStreamErrorException')
  })
})

describe('hostile bytes', () => {
  test('a frame with any byte changed is refused, or waited for in vain, and never believed', () => {
    const good = event('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'x' } })
    for (let at = 0; at < good.length; at += 1) {
      const bad = Buffer.from(good)
      bad[at] = bad[at]! ^ 0x20
      expect(() => run(bad), `byte ${at}`).toThrow(TranslationError)
    }
  })
  test('a frame that claims to be huge, or smaller than its own prelude, is refused at once', () => {
    for (const length of [0xffffffff, 1024 * 1024 + 1, 15, 0]) {
      const prelude = Buffer.from(event('messageStart', {}).subarray(0, 12))
      prelude.writeUInt32BE(length)
      expect(() => run(prelude)).toThrow(TranslationError)
    }
  })
  test.each(['data: {}\n\n', '<html>an error page of some proxy</html>', '{"message":"plain JSON, no frames"}'])(
    'what is no frame is refused: %j',
    (text) => {
      expect(() => run(Buffer.from(text.padEnd(16)))).toThrow(TranslationError)
    },
  )
  test('a body that is no JSON object is refused', () => {
    expect(() => run(event('contentBlockDelta', '{"delta":'))).toThrow(TranslationError)
    expect(() => run(event('metadata', '[]'))).toThrow(TranslationError)
  })
  test('events of kinds that come later are passed over, and what follows the end is not looked at', () => {
    const around = Buffer.concat([event('later', { x: 1 }), textStream, Buffer.from('garbage, garbage')])
    expect(run(around)).toEqual(run(textStream))
  })
})
