/**
 * Replies that no honest provider sends, in every dialect (security §4c, items 126–165). What OpenRouter's own format does to
 * each is tested word by word in gateway-replies and gateway-stream-replies; here the same invariants hold for translated
 * formats too: the client is told, the ledger holds one sane row, no key comes back, and the next call works.
 */
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseCredential } from '#app/domain/providers/parse-credential.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { dropSingleton } from '#app/platform/singleton.server.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, ledgerOf, makePayer, openAttemptsOf, sealedKey, until, useGateway } from '#test/gateway.ts'
import type { RawReply, Scenario } from '#test/sandbox/openrouter/scenario.ts'

const db = useDatabase()
const gateway = useGateway(db)

interface Upstream {
  provider: ProviderId
  model: string
  /** Media type of its streams. */
  stream: string
  /** How its usage is written, from counts as JSON text. */
  usage: (input: string, output: string) => string
}

const openaiUsage: Upstream['usage'] = (input, output) => `{"prompt_tokens":${input},"completion_tokens":${output}}`
const snakeUsage: Upstream['usage'] = (input, output) => `{"input_tokens":${input},"output_tokens":${output}}`
const upstreams: Upstream[] = [
  { provider: 'groq', model: 'openai/gpt-oss-120b', stream: 'text/event-stream', usage: openaiUsage },
  { provider: 'anthropic', model: 'claude-opus-4-6', stream: 'text/event-stream', usage: snakeUsage },
  { provider: 'openai-responses', model: 'gpt-5-mini', stream: 'text/event-stream', usage: snakeUsage },
  {
    provider: 'bedrock',
    model: 'anthropic.claude-sonnet-4-6-v1:0',
    stream: 'application/vnd.amazon.eventstream',
    usage: (input, output) => `{"inputTokens":${input},"outputTokens":${output}}`,
  },
]

type Make = (upstream: Upstream, streamed: boolean) => Scenario

const raw = (reply: Partial<RawReply> & Pick<RawReply, 'pieces'>): Scenario => ({ raw: { status: 200, ...reply } })
const typeOf = ({ stream }: Upstream, streamed: boolean) => (streamed ? stream : 'application/json')
const typed = (make: Upstream, streamed: boolean, pieces: string[], more: Partial<RawReply> = {}) =>
  raw({ headers: [['content-type', typeOf(make, streamed)]], pieces, ...more })
const bytes = (buffer: Buffer) => `base64:${buffer.toString('base64')}`

/** Items whose reply is none: an error for the client, nothing to charge for. */
const noReply: [item: string, make: Make][] = [
  ['126 HTML', () => raw({ headers: [['content-type', 'text/html']], pieces: ['<html>'] })],
  ['126 HTML under the right type', (up, streamed) => typed(up, streamed, ['<html><body>503</body></html>'])],
  ['127 nothing', (up, streamed) => typed(up, streamed, [])],
  ['128 truncated JSON', (up, streamed) => typed(up, streamed, ['{"id":"x","content":[{"type":"te'])],
  ['129 another type', () => raw({ headers: [['content-type', 'application/xml']], pieces: ['<a/>'] })],
  [
    '134 a line of 100 MB',
    (up, streamed) => typed(up, streamed, ['data: ', ...Array<string>(100).fill('x'.repeat(1_000_000)), '\n\n']),
  ],
  ['135 a million tiny pieces', (up, streamed) => typed(up, streamed, ['\n'], { repeat: 1_000_000 })],
  [
    '151 a gzip bomb',
    (up, streamed) =>
      raw({
        headers: [
          ['content-type', typeOf(up, streamed)],
          ['content-encoding', 'gzip'],
        ],
        pieces: [bytes(gzipSync(Buffer.alloc(10_000_000)))],
      }),
  ],
  [
    '152 thirty encodings',
    (up, streamed) =>
      raw({
        headers: [
          ['content-type', typeOf(up, streamed)],
          ['content-encoding', Array(30).fill('gzip').join(', ')],
        ],
        pieces: ['x'],
      }),
  ],
  ['153 a 204', () => raw({ status: 204, pieces: [] })],
  ['153 a 304', () => raw({ status: 304, pieces: [] })],
  ['153 a 206', () => raw({ status: 206, headers: [['content-type', 'application/json']], pieces: ['{}'] })],
  ['154 a 307 to elsewhere', () => ({ redirect: 'http://127.0.0.1:1/elsewhere' })],
  ['154 a 302', () => raw({ status: 302, headers: [['location', 'http://127.0.0.1:1/']], pieces: [] })],
  [
    '155 1 MB of headers',
    (up, streamed) =>
      raw({
        headers: [
          ['content-type', typeOf(up, streamed)],
          ['x-large', 'x'.repeat(1_000_000)],
        ],
        pieces: ['{}'],
      }),
  ],
  ['159 a reset before the headers', () => ({ reset: true })],
]

/** Items whose numbers cannot be true: unknown, never wrong, never negative. */
const wrongCounts: [item: string, input: string, output: string][] = [
  ['139 negative', '-10', '5'],
  ['140 NaN', 'NaN', 'NaN'],
  ['140 Infinity', 'Infinity', '5'],
  ['141 1e309', '1e309', '5'],
  ['142 text', '"12"', '"5"'],
  ['143 a fraction', '1.7', '5'],
  ['144 2^53 + 1', '9007199254740993', '5'],
]

describe.each(upstreams)('$provider', (upstream) => {
  const { provider, model } = upstream
  let customer: Customer
  let secrets: string[]
  let rows = 0
  beforeAll(async () => {
    customer = await makePayer(provider)
    secrets = parseCredential(provider, sealedKey(provider)).secrets
  })

  const ask = (stream: boolean) =>
    fetch(`${gateway.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${customer.token}` },
      body: JSON.stringify({ model, stream, max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] }),
    })

  /** What the client got, to the end or to where the connection broke. */
  async function meet(scenario: Scenario, stream: boolean) {
    gateway.providers.fault({ match: { provider }, scenario })
    const response = await ask(stream)
    let [text, broken] = ['', false]
    try {
      text = await response.text()
    } catch {
      broken = true
    }
    for (const secret of secrets) expect(text + JSON.stringify([...response.headers])).not.toContain(secret)
    const all = await until(async () => {
      const found = await ledgerOf(db, customer.workspaceId)
      return found.length > rows && found
    }, 'the call in the ledger')
    expect(all).toHaveLength(rows + 1)
    rows = all.length
    const row = all.at(-1) as NonNullable<(typeof all)[number]>
    const said = ['call-id', 'provider', 'key-source'].map((name) => response.headers.get(`x-keymargin-${name}`))
    expect(said).toEqual([row.id, provider, 'workspace'])
    expect(row.charge_pico).toBe(0n)
    expect(row.raw_cost_pico === null || row.raw_cost_pico >= 0n).toBe(true)
    return { response, text, broken, row }
  }

  async function stillServes() {
    const good = await ask(false)
    expect(good.status).toBe(200)
    await good.text()
    rows += 1
    expect(await openAttemptsOf(db)).toBe(0)
  }

  describe.each([
    ['plain', false],
    ['streamed', true],
  ])('%s', (_name, streamed) => {
    test.each(noReply)('%s', async (item, make) => {
      const { response, text, broken, row } = await meet(make(upstream, streamed), streamed)
      const told = broken || response.status >= 400 || /"error":\{/.test(text)
      // What stands in an event of an OpenAI-compatible host is relayed as it is, and then no word for the client either.
      const relayed = provider === 'groq' && streamed && item.startsWith('134')
      expect([told, row.status === 'ok']).toEqual([!relayed, relayed])
      if (response.status >= 400) expect(JSON.parse(text).error.code).toMatch(/^upstream_|^provider_/)
      expect(row.output_tokens ?? 0).toBe(0)
      await stillServes()
    })

    test.each(wrongCounts)('%s', async (_item, input, output) => {
      const { row } = await meet({ usageText: upstream.usage(input, output) }, streamed)
      // A reply that is no JSON at all is no reply; where it is one, its tokens are estimated and marked, or not known.
      expect(row.usage_source).not.toBe('provider')
      for (const count of [row.input_tokens, row.output_tokens])
        expect(count === null || (count >= 0 && count < 1_000)).toBe(true)
      await stillServes()
    })

    test('147 more than twice the output that the request allows: as reported, and operators are told', async () => {
      await db.owner.query("DELETE FROM alerts WHERE kind = 'usage_beyond_limit'")
      dropSingleton('gateway:told-usage')
      const alerts = async () =>
        (await db.owner.query("SELECT reference FROM alerts WHERE kind = 'usage_beyond_limit'")).rows
      const within = await meet({ usageText: upstream.usage('30', '100') }, streamed)
      expect(within.row).toMatchObject({ usage_source: 'provider', output_tokens: 100 })
      const beyond = await meet({ usageText: upstream.usage('30', '101') }, streamed)
      expect(beyond.row).toMatchObject({ usage_source: 'provider', output_tokens: 101 })
      const told = await until(async () => {
        const found = await alerts()
        return found.length > 0 && found
      }, 'the alert')
      expect(told).toEqual([{ reference: `${provider} ${model}` }])
    })

    test('137 no usage: an estimate, marked', async () => {
      const { row } = await meet({ usage: 'none' }, streamed)
      expect(row).toMatchObject({ status: 'ok', usage_source: 'estimated' })
    })

    test('138 usage of zero stays zero', async () => {
      const { row } = await meet({ usage: 'zero' }, streamed)
      expect(row).toMatchObject({ usage_source: 'provider', input_tokens: 0, output_tokens: 0, raw_cost_pico: 0n })
    })

    test('157 a 401 that echoes the key is cleaned', async () => {
      const { response, row } = await meet({ error: 401, echoKey: true }, streamed)
      expect(response.status).toBe(401)
      expect(row).toMatchObject({ status: 'rejected_upstream', raw_cost_pico: 0n })
    })

    test.each(['9e99', '-1', 'Fri, 31 Dec 9999 23:59:59 GMT'])(
      '158 a Retry-After of %s is dropped',
      async (retryAfter) => {
        const { response } = await meet({ error: 429, retryAfter }, streamed)
        expect([response.status, response.headers.get('retry-after')]).toEqual([429, null])
      },
    )

    test('164 another model’s name in the reply is noted, not believed', async () => {
      const { row } = await meet({ replyModel: 'somebody/else' }, streamed)
      expect(row.provider).toBe(provider)
      expect(row.model).not.toBe('somebody/else')
      // Bedrock's replies name no model.
      expect(row.response_model).toBe(provider === 'bedrock' ? model : 'somebody/else')
    })
  })

  test('136 an error inside a stream that began well', async () => {
    const { text, broken, row } = await meet({ midStreamError: 2, chunks: 6 }, true)
    expect(broken || /"error":\{/.test(text)).toBe(true)
    expect(row.status).toBe('upstream_error')
  })

  test('160 a reset after three pieces', async () => {
    const { row } = await meet({ cut: 3, chunks: 6 }, true)
    expect(row).toMatchObject({ status: 'upstream_error', error_code: 'upstream_interrupted' })
  })

  test('163 tool-call fragments that are never closed', async () => {
    const { text, broken, row } = await meet({ openTool: true }, true)
    // A translated stream lacks its end mark then, and is no short answer; others may never send one.
    const whole = provider === 'groq'
    expect(row).toMatchObject({ status: whole ? 'ok' : 'upstream_error', usage_source: 'estimated' })
    expect(broken || /"error":\{/.test(text)).toBe(!whole)
    await stillServes()
  })
})
