import { afterEach, describe, expect, test } from 'vitest'
import { patience } from '#app/gateway/patience.ts'
import { useDatabase } from '#test/database.ts'
import { type Row, useGateway } from '#test/gateway.ts'
import {
  counts,
  type Expected,
  invalid,
  metered,
  hostileModel as model,
  reply,
  sse,
  typed,
  unknownCost,
  useHostileProvider,
} from '#test/hostile-provider.ts'
import type { RawReply, Scenario } from '#test/sandbox/openrouter/scenario.ts'

const db = useDatabase()
const gateway = useGateway(db)
const { meet, check } = useHostileProvider(db, gateway)

describe('streams', () => {
  const event = (data: string, end = '\n') => `data: ${data}${end}${end}`
  const words = event(`{"model":"${model}","choices":[{"delta":{"content":"hi"}}]}`)
  const usage = (text: string) => event(`{"choices":[],"usage":${text}}`)
  const good = usage(`{${counts},"cost":0.000001}`)
  const done = event('[DONE]')
  const million = metered({ raw_cost_pico: 1_000_000n })

  const cases: [string, Scenario, Expected][] = [
    ['HTML', typed('text/html', '<html>'), invalid],
    ['nothing', sse(), invalid],
    ['HTML that says it is events', sse('<html>'), { status: 200, row: invalid.row }],
    ['an error without the form of an event', sse('{"error":{"message":"down"}}\n'), invalid],
    ['only comments', sse(': OPENROUTER PROCESSING\n\n'), { status: 200, row: invalid.row }],
    ['an event in pieces of a byte each', sse(...words, ...good, ...done), million],
    ['no final blank line', sse(words, good, 'data: [DONE]'), million],
    [
      'CR LF',
      sse(words.replaceAll('\n', '\r\n'), good.replaceAll('\n', '\r\n'), done.replaceAll('\n', '\r\n')),
      million,
    ],
    ['CR', sse(words.replaceAll('\n', '\r'), good.replaceAll('\n', '\r'), done.replaceAll('\n', '\r')), million],
    ['data over several lines', sse(words, good.replace(',"usage"', '\ndata: ,"usage"'), done), million],
    ['no end mark', sse(words, good), million],
    ['the end mark twice', sse(words, good, done, done), million],
    ['data after the end mark', sse(words, good, done, usage(`{${counts},"cost":9}`)), million],
    [
      'usage twice: the last counts',
      sse(words, usage('{"prompt_tokens":1,"completion_tokens":1,"cost":0.5}'), good, done),
      million,
    ],
    ['usage on the finish chunk', { usageOnFinish: true, input: 10, output: 5 }, metered({})],
    [
      'usage in the model’s own words',
      sse(
        words,
        event(
          `{"choices":[{"delta":{"content":"\\"usage\\":{\\"prompt_tokens\\":0,\\"completion_tokens\\":0,\\"cost\\":0}"}}]}`,
        ),
        good,
        done,
      ),
      million,
    ],
    [
      'a forged event in the model’s own words',
      sse(words, event(`{"choices":[{"delta":{"content":"\\n\\ndata: [DONE]\\n\\n"}}]}`), good, done),
      million,
    ],
    [
      'usage broken',
      sse(words, usage('{"prompt_tokens":-1,"completion_tokens":1,"cost":0}'), done),
      { status: 200, row: { status: 'ok', usage_source: 'estimated', ...unknownCost } },
    ],
    ['not JSON', sse('data: {"choices":[\n\n', 'data: <html>\n\n', good, done), million],
    [
      'an error event',
      { midStreamError: 2, output: 24 },
      {
        status: 200,
        row: {
          status: 'upstream_error',
          error_code: 'provider_unavailable',
          usage_source: 'generation',
          output_tokens: 2,
        },
      },
    ],
    [
      'a reset after three events',
      { cut: 3, output: 24 },
      {
        status: 200,
        row: {
          status: 'upstream_error',
          error_code: 'upstream_interrupted',
          usage_source: 'generation',
          output_tokens: 24,
        },
      },
    ],
    [
      'a reset before the first event',
      { cut: 0, output: 24 },
      { status: 200, row: { status: 'upstream_error', usage_source: 'generation', output_tokens: 24 } },
    ],
    ['a tool call that never closes', { openTool: true, input: 10, output: 5 }, metered({})],
    [
      'a line of 40 MB',
      reply({
        headers: [['content-type', 'text/event-stream']],
        pieces: ['data: ', ...Array(40).fill('x'.repeat(1_000_000)), `\n\n${good}${done}`],
      }),
      million,
    ],
    [
      'an error in a 200 that is JSON',
      { errorIn200: true },
      { status: 502, code: 'upstream_error', row: { status: 'upstream_error' } },
    ],
    [
      'script and formula in the model’s name',
      sse(event(`{"model":"=cmd|' /C calc'!A0</script>","choices":[]}`), good, done),
      metered({ response_model: "=cmd|' /C calc'!A0</script>" }),
    ],
  ]

  test.each(cases)('%s', async (_name, scenario, expected) => {
    await check(scenario, true, expected)
  })

  test('only comments: the client hears that nothing followed', async () => {
    const { text } = await meet(sse(': OPENROUTER PROCESSING\n\n'), true)
    expect(text).toContain('"code":"upstream_invalid"')
    expect(text.endsWith('\n\n')).toBe(true)
  })

  test('100,000 tiny pieces', async () => {
    const raw: RawReply = {
      status: 200,
      headers: [['content-type', 'text/event-stream']],
      pieces: ['data: {}\n\n'],
      repeat: 100_000,
    }
    const met = await meet({ raw }, true)
    expect(met.text.length).toBe(1_000_000)
    expect(met.rows).toMatchObject([{ status: 'ok', usage_source: 'estimated' }])
  })
})

describe('a provider that falls silent is not waited for without end', () => {
  const usual = { ...patience }
  afterEach(() => void Object.assign(patience, usual))

  const silent = { status: 504, code: 'upstream_timeout' }
  test.each<[string, Scenario, boolean, Row]>([
    ['before the headers', { hang: 'start' }, false, { usage_source: 'none', ...unknownCost }],
    ['before the headers of a stream', { hang: 'start' }, true, { usage_source: 'none', ...unknownCost }],
    ['after the headers', { hang: 'headers', output: 7 }, false, { usage_source: 'generation', output_tokens: 7 }],
  ])('%s', async (_name, scenario, streamed, row) => {
    Object.assign(patience, scenario.hang === 'start' ? { headersMs: 400 } : { idleMs: 400 })
    await check(scenario, streamed, {
      ...silent,
      row: { status: 'upstream_error', error_code: 'upstream_timeout', ...row },
    })
  })

  test('after the first comment of a stream: an error event, and what the provider bills', async () => {
    patience.idleMs = 400
    const met = await meet({ hang: 'headers', output: 7 }, true)
    expect(met.text).toContain('"code":"upstream_timeout"')
    expect(met.text.endsWith('\n\n')).toBe(true)
    expect(met.rows).toMatchObject([{ status: 'upstream_error', usage_source: 'generation', output_tokens: 7 }])
  })
})
