import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { patience } from '#app/gateway/patience.ts'
import { useDatabase } from '#test/database.ts'
import { customerKey, ledgerOf, makeCustomer, openAttemptsOf, type Row, useGateway } from '#test/gateway.ts'
import type { RawReply, Scenario } from '#test/sandbox/openrouter/scenario.ts'

const db = useDatabase()
const gateway = useGateway(db)
const model = 'openai/gpt-5-mini'

/** What a hostile reply must come to: the caller's status, and what the ledger says. */
interface Expected {
  status: number
  code?: string
  row: Row
}

const completion = (usage: string) =>
  `{"model":"${model}","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]${usage === '' ? '' : `,"usage":${usage}`}}`
const json = (usage: string): Scenario => ({ raw: { status: 200, pieces: [completion(usage)] } })
const reply = (raw: Partial<RawReply> & { pieces: string[] }): Scenario => ({ raw: { status: 200, ...raw } })
const typed = (type: string, ...pieces: string[]) => reply({ headers: [['content-type', type]], pieces })
const sse = (...pieces: string[]) => typed('text/event-stream', ...pieces)
const counts = '"prompt_tokens":10,"completion_tokens":5,"total_tokens":15'
const base64 = (bytes: Buffer) => `base64:${bytes.toString('base64')}`

const unknownCost = { raw_cost_pico: null, cost_source: 'unknown', charge_pico: null }
const invalid: Expected = {
  status: 502,
  code: 'upstream_invalid',
  row: { status: 'upstream_error', error_code: 'upstream_invalid', ...unknownCost },
}
const held: Expected = { status: 200, row: { status: 'ok', ...unknownCost } }
const metered = (row: Row): Expected => ({
  status: 200,
  row: { status: 'ok', usage_source: 'provider', input_tokens: 10, output_tokens: 5, ...row },
})
/** Ten tokens in and five out at the list price: 12,500,000 pico-dollars. */
const fiveTimesList = 5n * 12_500_000n

async function meet(scenario: Scenario, streamed: boolean) {
  const customer = await makeCustomer()
  gateway.sandbox.fault({ scenario })
  const response = await fetch(`${gateway.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${customer.token}` },
    body: JSON.stringify({ model, stream: streamed, messages: [{ role: 'user', content: 'hello' }] }),
  })
  const text = await response.text().catch(() => 'broken off')
  const rows = await ledgerOf(db, customer.workspaceId)
  return { status: response.status, headers: response.headers, text, rows }
}

async function check(scenario: Scenario, streamed: boolean, expected: Expected) {
  const met = await meet(scenario, streamed)
  expect(met.status).toBe(expected.status)
  if (expected.code) expect(JSON.parse(met.text).error.code).toBe(expected.code)
  expect(met.text).not.toContain(customerKey.slice(9, 30))
  expect(met.rows).toHaveLength(1)
  expect(met.rows[0]).toMatchObject(expected.row)
  expect(await openAttemptsOf(db)).toBe(0)
  return met
}

describe('plain answers', () => {
  const cases: [string, Scenario, Expected][] = [
    ['HTML', typed('text/html', '<html>'), invalid],
    ['HTML that says it is JSON', typed('application/json', '<html>'), invalid],
    ['nothing', typed('application/json'), invalid],
    ['a truncated document', typed('application/json', completion(`{${counts}}`).slice(0, -4)), invalid],
    ['an array', typed('application/json', '[]'), invalid],
    ['no content type', reply({ headers: [], pieces: [completion(`{${counts}}`)] }), invalid],
    ['no usage', json(''), held],
    ['usage null', json('null'), held],
    [
      'usage all zero',
      json('{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"cost":0}'),
      metered({ input_tokens: 0, output_tokens: 0, raw_cost_pico: 0n, charge_pico: 0n }),
    ],
    ['negative tokens', json('{"prompt_tokens":-10,"completion_tokens":5,"cost":0.1}'), held],
    ['NaN', json('{"prompt_tokens":NaN,"completion_tokens":5,"cost":0.1}'), held],
    ['Infinity', json('{"prompt_tokens":Infinity,"completion_tokens":5}'), held],
    ['1e309 tokens', json('{"prompt_tokens":1e309,"completion_tokens":5,"cost":0.1}'), held],
    ['tokens as text', json('{"prompt_tokens":"10","completion_tokens":"5","cost":0.1}'), held],
    ['fractions', json('{"prompt_tokens":1.7,"completion_tokens":5,"cost":0.1}'), held],
    ['2^53 + 1', json('{"prompt_tokens":9007199254740993,"completion_tokens":5,"cost":0.1}'), held],
    [
      'a total that is more than its parts',
      json('{"prompt_tokens":10,"completion_tokens":1,"total_tokens":15,"cost":0.000001}'),
      metered({ raw_cost_pico: 1_000_000n }),
    ],
    [
      'cost as text',
      json(`{${counts},"cost":"0.000001"}`),
      metered({ raw_cost_pico: 1_000_000n, cost_source: 'provider' }),
    ],
    ['cost -5', json(`{${counts},"cost":-5}`), metered(unknownCost)],
    ['cost 1e309', json(`{${counts},"cost":1e309}`), metered(unknownCost)],
    ['cost 1e-30', json(`{${counts},"cost":1e-30}`), metered({ raw_cost_pico: 0n })],
    ['cost 0x10', json(`{${counts},"cost":"0x10"}`), metered(unknownCost)],
    ['cost null', json(`{${counts},"cost":null}`), metered(unknownCost)],
    [
      'cost a thousand times the list',
      json(`{${counts},"cost":0.0125}`),
      metered({ raw_cost_pico: fiveTimesList, cost_clamped: true, charge_pico: 0n }),
    ],
    [
      'an error in a 200',
      { errorIn200: true },
      {
        status: 502,
        code: 'upstream_error',
        row: { status: 'upstream_error', error_code: 'provider_unavailable', ...unknownCost },
      },
    ],
    [
      'another model in the reply',
      { replyModel: 'acme/other' },
      { status: 200, row: { status: 'ok', model, response_model: 'acme/other', usage_source: 'provider' } },
    ],
    [
      'gzip',
      reply({
        headers: [
          ['content-type', 'application/json'],
          ['content-encoding', 'gzip'],
        ],
        pieces: [base64(gzipSync(completion(`{${counts}}`)))],
      }),
      invalid,
    ],
    [
      'a compression bomb',
      reply({
        headers: [
          ['content-type', 'application/json'],
          ['content-encoding', 'br'],
        ],
        pieces: [base64(brotliCompressSync(Buffer.alloc(30_000_000)))],
      }),
      invalid,
    ],
    [
      '30 encodings',
      reply({
        headers: [
          ['content-type', 'application/json'],
          ['content-encoding', Array(30).fill('gzip').join(', ')],
        ],
        pieces: ['x'],
      }),
      invalid,
    ],
    ['204', reply({ status: 204, headers: [], pieces: [] }), invalid],
    ['304', reply({ status: 304, headers: [], pieces: [] }), invalid],
    ['206', reply({ status: 206, pieces: ['{}'] }), invalid],
    ['a redirect', { redirect: 'http://127.0.0.1:1/elsewhere' }, invalid],
    [
      '1 MB of headers',
      reply({
        headers: [
          ['content-type', 'application/json'],
          ['x-large', 'x'.repeat(1_000_000)],
        ],
        pieces: [completion(`{${counts}}`)],
      }),
      { status: 502, code: 'upstream_interrupted', row: { status: 'upstream_error', ...unknownCost } },
    ],
    [
      '10,000 headers',
      reply({
        headers: [
          ['content-type', 'application/json'],
          ...Array.from({ length: 10_000 }, (_, n) => [`x-${n}`, 'y'] as [string, string]),
        ],
        pieces: ['{}'],
      }),
      { status: 502, code: 'upstream_interrupted', row: { status: 'upstream_error', ...unknownCost } },
    ],
    [
      'a reset before the headers',
      { reset: true },
      {
        status: 502,
        code: 'upstream_interrupted',
        row: { status: 'upstream_error', error_code: 'upstream_interrupted', usage_source: 'none', ...unknownCost },
      },
    ],
    [
      'half an answer',
      { cut: 0 },
      {
        status: 502,
        code: 'upstream_interrupted',
        row: { status: 'upstream_error', usage_source: 'generation', output_tokens: 24 },
      },
    ],
    [
      'a 401 with the key in it',
      { error: 401, echoKey: true },
      {
        status: 401,
        code: 'provider_key_rejected',
        row: { status: 'rejected_upstream', raw_cost_pico: 0n, charge_pico: 0n },
      },
    ],
    [
      'a 418',
      reply({ status: 418, pieces: ['{"error":{"message":"teapot"}}'] }),
      { status: 400, code: 'provider_refused', row: { status: 'rejected_upstream', http_status: 418 } },
    ],
    [
      'a 599',
      reply({ status: 599, pieces: [''] }),
      { status: 502, code: 'upstream_error', row: { status: 'rejected_upstream', http_status: 599 } },
    ],
    [
      'an endless refusal',
      reply({ status: 500, pieces: ['x'.repeat(100_000)], repeat: 1_000 }),
      { status: 500, code: 'upstream_error', row: { status: 'rejected_upstream' } },
    ],
  ]

  test.each(cases)('%s', async (_name, scenario, expected) => {
    await check(scenario, false, expected)
  })

  test.each([
    ['9e99', null],
    ['-1', null],
    ['0', '0'],
    ['7', '7'],
    ['999999', null],
    ['soon', null],
    ['Fri, 31 Dec 9999 23:59:59 GMT', null],
    [new Date(Date.now() + 3_600_000).toUTCString(), /^3[3-6]\d\d$/],
  ])('Retry-After %s', async (retryAfter, told) => {
    const met = await meet({ error: 429, retryAfter }, false)
    expect(met.status).toBe(429)
    const header = met.headers.get('retry-after')
    if (told instanceof RegExp) expect(header).toMatch(told)
    else expect(header).toBe(told)
  })

  test('cookies, server names and request ids of the provider stay behind', async () => {
    const headers: [string, string][] = [
      ['content-type', 'application/json'],
      ['set-cookie', 'a=b'],
      ['server', 'x'],
      ['x-request-id', 'theirs'],
      ['access-control-allow-origin', '*'],
      ['x-generation-id', 'bad id\t<script>'],
    ]
    const met = await meet(reply({ headers, pieces: [completion(`{${counts},"cost":0}`)] }), false)
    for (const name of ['set-cookie', 'server', 'access-control-allow-origin', 'x-generation-id'])
      expect(met.headers.get(name)).toBe(null)
    expect(met.headers.get('x-request-id')).toBe(met.rows[0]?.id)
  })

  test('a refusal’s words are cleaned, then cut', async () => {
    const message = `\u001b[31mred</script>\r\n${'x'.repeat(270)} ${customerKey} ${'y'.repeat(500)}`
    const met = await meet(reply({ status: 400, pieces: [JSON.stringify({ error: { message } })] }), false)
    const said = JSON.parse(met.text).error.message as string
    expect(said.length).toBeLessThan(330)
    expect(said).not.toContain('\u001b')
    expect(said).toContain('[secret]')
    expect(said).not.toContain('sk-or')
  })
})

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
    ['only comments', sse(': OPENROUTER PROCESSING\n\n'), held],
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
  beforeAll(() => void Object.assign(patience, { headersMs: 400, idleMs: 400 }))
  afterAll(() => void Object.assign(patience, usual))

  const silent = { status: 504, code: 'upstream_timeout' }
  test.each<[string, Scenario, boolean, Row]>([
    ['before the headers', { hang: 'start' }, false, { usage_source: 'none', ...unknownCost }],
    ['before the headers of a stream', { hang: 'start' }, true, { usage_source: 'none', ...unknownCost }],
    ['after the headers', { hang: 'headers', output: 7 }, false, { usage_source: 'generation', output_tokens: 7 }],
  ])('%s', async (_name, scenario, streamed, row) => {
    await check(scenario, streamed, {
      ...silent,
      row: { status: 'upstream_error', error_code: 'upstream_timeout', ...row },
    })
  })

  test('after the first comment of a stream: an error event, and what the provider bills', async () => {
    const met = await meet({ hang: 'headers', output: 7 }, true)
    expect(met.text).toContain('"code":"upstream_timeout"')
    expect(met.text.endsWith('\n\n')).toBe(true)
    expect(met.rows).toMatchObject([{ status: 'upstream_error', usage_source: 'generation', output_tokens: 7 }])
  })
})
