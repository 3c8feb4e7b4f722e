import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { useDatabase } from '#test/database.ts'
import { customerKey, useGateway } from '#test/gateway.ts'
import {
  base64,
  completion,
  counts,
  type Expected,
  fiveTimesList,
  held,
  invalid,
  json,
  metered,
  hostileModel as model,
  reply,
  typed,
  unknownCost,
  useHostileProvider,
} from '#test/hostile-provider.ts'
import type { Scenario } from '#test/sandbox/openrouter/scenario.ts'

const db = useDatabase()
const gateway = useGateway(db)
const { meet, check } = useHostileProvider(db, gateway)

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
