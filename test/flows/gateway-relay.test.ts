import OpenAI from 'openai'
import { afterEach, describe, expect, test } from 'vitest'
import { reconcileHeldCalls } from '#app/domain/ledger/reconcile-held-calls.server.ts'
import { parsePico } from '#app/platform/pico.ts'
import { useDatabase } from '#test/database.ts'
import {
  type Customer,
  customerKey,
  lastChat,
  ledgerOf,
  makeCustomer,
  openAttemptsOf,
  piecesOf,
  platformKey,
  until,
  useGateway,
} from '#test/gateway.ts'
import { fingerprintOf } from '#test/sandbox/openrouter/keys.ts'
import type { Scenario } from '#test/sandbox/openrouter/scenario.ts'
import { readGeneration } from '#workers/read-generation.ts'

const db = useDatabase()
const gateway = useGateway(db)
const model = 'openai/gpt-5-mini'

const bodyOf = (stream: boolean, content = 'hello') =>
  JSON.stringify({ model, stream, messages: [{ role: 'user', content }] })

function post(
  base: string,
  bearer: string,
  body: string,
  init: { headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<Response> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${bearer}`, ...init.headers }
  return fetch(`${base}/chat/completions`, { method: 'POST', headers, body, signal: init.signal })
}

const viaGateway = (customer: Customer, body: string, init?: Parameters<typeof post>[3]) =>
  post(`${gateway.origin}/v1`, customer.token, body, init)
const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer())

afterEach(() => {
  gateway.sandbox.settings({
    pace: { firstMs: 0, gapMs: 0 },
    generationDelayMs: 0,
    generationStatus: null,
    processingComment: true,
  })
})

describe('bytes', () => {
  const usage = '{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"cost":0.00000825}'
  const event = (content: string, end: string) =>
    `data: {"id":"gen-1","model":"${model}","choices":[{"delta":{"content":"${content}"}}]}${end}${end}`
  const streams: [string, string[]][] = [
    [
      'plain events',
      [
        event('a', '\n'),
        event('b', '\n'),
        `data: {"id":"gen-1","choices":[],"usage":${usage}}\n\n`,
        'data: [DONE]\n\n',
      ],
    ],
    [
      'CR LF and comments',
      [
        ': OPENROUTER PROCESSING\r\n\r\n',
        event('naïve', '\r\n'),
        `data: {"choices":[],"usage":${usage}}\r\n\r\ndata: [DONE]\r\n\r\n`,
      ],
    ],
    [
      'a character and the end mark in two pieces',
      [
        `data: {"choices":[{"delta":{"content":"na`,
        'base64:w68=',
        `ve"}}]}\n\ndata: {"usage":${usage}}\n\nda`,
        'ta: [DO',
        'NE]\n',
        '\n',
      ],
    ],
    ['no end mark', [event('a', '\n'), `data: {"choices":[],"usage":${usage}}\n\n`]],
    [
      'the end mark twice, and data after it',
      [event('a', '\n'), `data: {"usage":${usage}}\n\n`, 'data: [DONE]\n\n', 'data: [DONE]\n\n', event('late', '\n')],
    ],
    ['no blank line at the end', [event('a', '\n'), `data: {"usage":${usage}}\n\n`, 'data: [DONE]']],
  ]

  test.each(streams)('a stream arrives as the provider sent it: %s', async (_name, pieces) => {
    const customer = await makeCustomer()
    const raw = { status: 200, headers: [['content-type', 'text/event-stream']] as [string, string][], pieces }
    gateway.sandbox.fault({ scenario: { raw }, times: 2 })
    const direct = await bytesOf(await post(gateway.sandbox.baseUrl, customerKey, bodyOf(true)))
    const relayed = await bytesOf(await viaGateway(customer, bodyOf(true)))
    expect(relayed.equals(direct)).toBe(true)
    expect(await ledgerOf(db, customer.workspaceId)).toMatchObject([
      { status: 'ok', input_tokens: 9, output_tokens: 3, raw_cost_pico: 8_250_000n },
    ])
  })

  test('a plain answer arrives as the provider sent it, odd spacing and all, large or small', async () => {
    const customer = await makeCustomer()
    for (const size of [10, 3_000_000]) {
      const pieces = [
        `{ "id" : "gen-1",\n"choices":[{"message":{"content":"${'é'.repeat(size)}"}}],`,
        `"usage":${usage} }\n`,
      ]
      gateway.sandbox.fault({ scenario: { raw: { status: 200, pieces } }, times: 2 })
      const direct = await bytesOf(await post(gateway.sandbox.baseUrl, customerKey, bodyOf(false)))
      const relayed = await bytesOf(await viaGateway(customer, bodyOf(false)))
      expect(relayed.equals(direct)).toBe(true)
    }
    const rows = await ledgerOf(db, customer.workspaceId)
    expect(rows.map((row) => [row.status, row.input_tokens])).toEqual([
      ['ok', 9],
      ['ok', 9],
    ])
  })

  test('the request goes up as it came down', async () => {
    const customer = await makeCustomer()
    const odd = `{ "messages" : [ {"role":"user","content":"\\u0068\\u0065llo [[sandbox input=4321]]"} ],\r\n "model":"openai\\/gpt-5-mini", "temperature":1.0e0 }`
    expect((await viaGateway(customer, odd)).status).toBe(200)
    expect(lastChat(gateway.sandbox).usage).toEqual({ input: 4321, output: 24 })
  })

  test('a caller sees only allow-listed headers', async () => {
    const customer = await makeCustomer()
    const response = await viaGateway(customer, bodyOf(true))
    await response.text()
    const names = [...response.headers.keys()].filter(
      (name) => !['connection', 'date', 'keep-alive', 'transfer-encoding'].includes(name),
    )
    expect(names.sort()).toEqual([
      'cache-control',
      'content-type',
      'x-accel-buffering',
      'x-generation-id',
      'x-keymargin-call-id',
      'x-keymargin-key-source',
      'x-request-id',
    ])
    const [row] = await ledgerOf(db, customer.workspaceId)
    expect(response.headers.get('x-keymargin-call-id')).toBe(row?.id)
    expect(response.headers.get('x-keymargin-key-source')).toBe('workspace')
  })

  test('a key inside a stream, even in two pieces, never reaches the client', async () => {
    const customer = await makeCustomer()
    const error = `data: {"error":{"code":401,"message":"bad key ${customerKey}"}}\n\n`
    const pieces = [event('a', '\n'), error.slice(0, 60), error.slice(60)]
    gateway.sandbox.fault({
      scenario: { raw: { status: 200, headers: [['content-type', 'text/event-stream']], pieces } },
    })
    const text = (await bytesOf(await viaGateway(customer, bodyOf(true)))).toString()
    expect(text).toContain('bad key [secret]')
    expect(text).not.toContain(customerKey.slice(9, 25))
  })
})

describe('the ledger comes before the end', () => {
  /** Holds the ledger of a workspace shut while `work` runs. */
  async function withLedgerShut(workspaceId: string, work: (open: () => Promise<void>) => Promise<void>) {
    await db.owner.query('BEGIN')
    await db.owner.query('SELECT metering.lock_ledger_exclusive($1)', [workspaceId])
    await work(async () => void (await db.owner.query('COMMIT')))
  }

  const waiting = async () =>
    (await db.owner.query("SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
      .rows[0].n > 0

  test('a stream: every word arrives, but not its end, until the call is committed', async () => {
    const customer = await makeCustomer()
    await withLedgerShut(customer.workspaceId, async (open) => {
      const response = await viaGateway(customer, bodyOf(true))
      let text = ''
      let ended = false
      const reading = (async () => {
        for await (const piece of piecesOf(response)) text += piece.toString()
        ended = true
      })()
      await until(waiting, 'the ledger write')
      await until(() => text.includes('"finish_reason":"stop"') && text.includes('"usage"'), 'the words')
      expect(text).not.toContain('[DONE]')
      expect(ended).toBe(false)
      await open()
      await reading
      expect(text).toContain('data: [DONE]')
    })
    expect(await ledgerOf(db, customer.workspaceId)).toHaveLength(1)
  })

  test.each([
    ['a plain answer', false, {}],
    ['an error in the middle of a stream', true, { midStreamError: 2 }],
    ['a refusal', true, { error: 429 }],
  ] as [string, boolean, Scenario][])('%s waits for the commit', async (_name, streamed, scenario) => {
    const customer = await makeCustomer()
    gateway.sandbox.fault({ scenario })
    await withLedgerShut(customer.workspaceId, async (open) => {
      let text = ''
      const answered = viaGateway(customer, bodyOf(streamed)).then(async (response) => {
        for await (const piece of piecesOf(response)) text += piece.toString()
      })
      await until(waiting, 'the ledger write')
      expect(text).not.toMatch(/"error"|"usage"/)
      await open()
      await answered
      expect(text).toMatch(/"error"|"usage"/)
    })
  })

  test('at the moment a client reads [DONE] the row is there, under load', async () => {
    const customers = await Promise.all(Array.from({ length: 4 }, () => makeCustomer()))
    const late: string[] = []
    const one = async (customer: Customer) => {
      const response = await viaGateway(customer, bodyOf(true))
      let text = ''
      for await (const piece of piecesOf(response)) {
        text += piece.toString()
        if (!text.includes('[DONE]')) continue
        const id = response.headers.get('x-keymargin-call-id')
        const { rowCount } = await db.owner.query('SELECT FROM metering.inference_calls WHERE id = $1', [id])
        if (rowCount !== 1) late.push(id ?? '')
        break
      }
    }
    await Promise.all(Array.from({ length: 60 }, (_, index) => one(customers[index % 4] as Customer)))
    expect(late).toEqual([])
  })

  test('the attempt is committed before a byte reaches the provider', async () => {
    const customer = await makeCustomer()
    const before = gateway.sandbox.chats().length
    await db.owner.query('BEGIN')
    await db.owner.query('LOCK TABLE metering.attempts IN EXCLUSIVE MODE')
    const answered = viaGateway(customer, bodyOf(false))
    await until(
      async () =>
        (
          await db.owner.query(
            "SELECT count(*)::int AS n FROM pg_locks WHERE relation = 'metering.attempts'::regclass AND NOT granted",
          )
        ).rows[0].n > 0,
    )
    expect(gateway.sandbox.chats().length).toBe(before)
    await db.owner.query('COMMIT')
    expect((await answered).status).toBe(200)
    expect(gateway.sandbox.chats().length).toBe(before + 1)
  })
})

describe('a client that leaves', () => {
  test.each([
    ['after the first words', true],
    ['before a plain answer', false],
  ])('%s is drained and billed once, as the provider bills it', async (_name, streamed) => {
    const customer = await makeCustomer()
    const leave = new AbortController()
    const content = streamed ? 'x [[sandbox output=30;gapMs=10]]' : 'x [[sandbox output=30;gapMs=5]]'
    const before = gateway.sandbox.chats().length
    const asked = viaGateway(customer, bodyOf(streamed, content), { signal: leave.signal })
    if (streamed) {
      const reader = (await asked).body?.getReader()
      await reader?.read()
      leave.abort()
    } else {
      await until(() => gateway.sandbox.chats().length > before, 'the request')
      leave.abort()
      await expect(asked).rejects.toThrow()
    }
    const [row] = await until(async () => {
      const rows = await ledgerOf(db, customer.workspaceId)
      return rows.length > 0 && rows
    }, 'the ledger row')
    const line = lastChat(gateway.sandbox)
    expect(line).toMatchObject({ completed: true, clientAborted: false, usage: { output: 30 } })
    expect(row).toMatchObject({
      status: 'client_closed',
      usage_source: 'provider',
      output_tokens: 30,
      raw_cost_pico: parsePico(line.cost ?? ''),
    })
    expect(await openAttemptsOf(db)).toBe(0)
  })

  test('a slow reader is waited for, and the provider with it: nothing piles up', async () => {
    const customer = await makeCustomer()
    const filler = `data: {"choices":[{"delta":{"content":"${'x'.repeat(60_000)}"}}]}\n\n`
    const raw = {
      status: 200,
      headers: [['content-type', 'text/event-stream']] as [string, string][],
      pieces: [filler],
      repeat: 800,
    }
    gateway.sandbox.fault({ scenario: { raw } })
    const response = await viaGateway(customer, bodyOf(true))
    const reader = response.body?.getReader()
    const before = process.memoryUsage().arrayBuffers
    await reader?.read()
    const line = gateway.sandbox.chats().at(-1)
    await until(() => gateway.sandbox.blocked() === 1, 'the provider waiting for the reader')
    expect(line?.event).toBe('arrived')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(24 * 1024 * 1024)
    let bytes = 0
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) bytes += part.value.length
    expect(bytes).toBeGreaterThan(40_000_000)
  })
})

describe('whose key pays', () => {
  const keysUsed = (from: number) =>
    gateway.sandbox
      .chats()
      .slice(from)
      .map((line) => line.key)
  const own = fingerprintOf(customerKey)

  test.each([401, 402, 403, 429, 500, 502, 503])('an upstream %i never leads to the platform key', async (error) => {
    const customer = await makeCustomer()
    const from = gateway.sandbox.chats().length
    gateway.sandbox.fault({ scenario: { error } })
    const response = await viaGateway(customer, bodyOf(false))
    expect(response.status).toBe(error)
    expect(keysUsed(from)).toEqual([own])
  })

  test('a key that does not open fails the call; nothing is sent', async () => {
    const customer = await makeCustomer()
    const from = gateway.sandbox.chats().length
    await db.owner.query(
      'UPDATE provider_keys SET ciphertext = set_byte(ciphertext, 3, (get_byte(ciphertext, 3) + 1) % 256) WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    const response = await viaGateway(customer, bodyOf(false))
    expect([response.status, (await response.json()).error.code]).toEqual([503, 'key_unavailable'])
    expect(keysUsed(from)).toEqual([])
    expect(await openAttemptsOf(db)).toBe(0)
  })

  test('a background surface, a plan without keys, a disabled key and no key at all are the platform’s', async () => {
    const platform = fingerprintOf(platformKey())
    const from = gateway.sandbox.chats().length
    const enterprise = await makeCustomer()
    for (const surface of ['search_indexer', 'attachment_text_extraction', 'mention_embedding_cache'])
      await viaGateway(enterprise, bodyOf(false), { headers: { 'x-keymargin-surface': surface } })
    const moved = await makeCustomer()
    await db.owner.query("UPDATE workspaces SET plan_id = 'pro' WHERE id = $1", [moved.workspaceId])
    await viaGateway(moved, bodyOf(false))
    const disabled = await makeCustomer()
    await db.owner.query('UPDATE provider_keys SET enabled = false WHERE workspace_id = $1', [disabled.workspaceId])
    await viaGateway(disabled, bodyOf(false))
    await viaGateway(await makeCustomer({ key: null }), bodyOf(false))
    expect(keysUsed(from)).toEqual([platform, platform, platform, platform, platform, platform])
    const rows = await ledgerOf(db, enterprise.workspaceId)
    expect(rows.map((row) => [row.surface, row.key_source, row.charge_mode])).toEqual([
      ['search_indexer', 'platform', 'tier'],
      ['attachment_text_extraction', 'platform', 'tier'],
      ['mention_embedding_cache', 'platform', 'tier'],
    ])
    for (const row of rows) expect(row.charge_pico).toBe(row.tier_price_pico)
  })

  test('a refused key is marked for its card, and the mark is gone when the provider serves it again', async () => {
    const customer = await makeCustomer()
    const mark = async () => {
      const { rows } = await db.owner.query('SELECT last_error_code FROM provider_keys WHERE workspace_id = $1', [
        customer.workspaceId,
      ])
      return rows[0].last_error_code
    }
    gateway.sandbox.fault({ scenario: { error: 402 } })
    await viaGateway(customer, bodyOf(false))
    await until(async () => (await mark()) === 'payment_required', 'the mark')
    await viaGateway(customer, bodyOf(false))
    await until(async () => (await mark()) === null, 'the end of the mark')
  })

  test('the platform’s own 401 is a 502 without the provider’s words, and the operators hear of it', async () => {
    const customer = await makeCustomer({ key: null })
    gateway.sandbox.fault({ scenario: { error: 401, echoKey: true } })
    const response = await viaGateway(customer, bodyOf(false))
    const text = await response.text()
    expect([response.status, JSON.parse(text).error.code]).toEqual([502, 'platform_key_rejected'])
    expect(text).not.toContain(platformKey().slice(9, 25))
    await until(
      async () => (await db.owner.query("SELECT FROM alerts WHERE kind = 'platform_key_refused'")).rowCount === 1,
      'the alert',
    )
  })
})

describe('unknown is not zero', () => {
  test('a reply without usage is settled from the provider’s record', async () => {
    const customer = await makeCustomer()
    const client = new OpenAI({ baseURL: `${gateway.origin}/v1`, apiKey: customer.token, maxRetries: 0 })
    gateway.sandbox.settings({ generationDelayMs: 100 })
    for (const stream of [false, true] as const) {
      gateway.sandbox.fault({ scenario: { usage: 'none' } })
      if (stream) await client.chat.completions.stream(JSON.parse(bodyOf(false))).finalChatCompletion()
      else await client.chat.completions.create(JSON.parse(bodyOf(false)))
      expect((await ledgerOf(db, customer.workspaceId)).at(-1)).toMatchObject({
        status: 'ok',
        usage_source: 'generation',
        cost_source: 'generation',
        raw_cost_pico: parsePico(lastChat(gateway.sandbox).cost ?? ''),
      })
    }
  })

  test('with no record either, the margin is held, and the job books it when the record appears', async () => {
    const customer = await makeCustomer()
    gateway.sandbox.settings({ generationStatus: 503 })
    gateway.sandbox.fault({ scenario: { usage: 'none', output: 40 } })
    await (await viaGateway(customer, bodyOf(true))).text()
    const [held] = await ledgerOf(db, customer.workspaceId)
    expect(held).toMatchObject({
      status: 'ok',
      usage_source: 'estimated',
      cost_source: 'unknown',
      raw_cost_pico: null,
      charge_pico: null,
    })
    gateway.sandbox.settings({ generationStatus: null })
    expect(await reconcileHeldCalls(readGeneration, new Date())).toBe(1)
    expect(await reconcileHeldCalls(readGeneration, new Date())).toBe(0)
    const { rows } = await db.owner.query('SELECT * FROM metering.calls_now WHERE workspace_id = $1', [
      customer.workspaceId,
    ])
    const cost = parsePico(lastChat(gateway.sandbox).cost ?? '') as bigint
    expect(rows).toMatchObject([
      {
        output_tokens: '40',
        cost_source: 'generation',
        raw_cost_pico: cost.toString(),
        correction_reason: 'cost_resolved',
      },
    ])
    expect(BigInt(rows[0].charge_pico)).toBe(BigInt(rows[0].tier_price_pico) - cost)
    const rollup = await db.owner.query(
      'SELECT held_calls::int, charge_pico FROM metering.call_daily_rollups WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    expect(rollup.rows).toEqual([{ held_calls: 0, charge_pico: rows[0].charge_pico }])
  })

  test('on the platform key an estimate is charged, marked as one, and in the customer’s favour', async () => {
    const customer = await makeCustomer({ key: null })
    gateway.sandbox.settings({ generationStatus: 503 })
    gateway.sandbox.fault({ scenario: { usage: 'none', output: 40 } })
    await (await viaGateway(customer, bodyOf(true))).text()
    const [row] = await ledgerOf(db, customer.workspaceId)
    expect(row).toMatchObject({ usage_source: 'estimated', cost_source: 'unknown', charge_mode: 'tier' })
    expect(row?.output_tokens).toBeGreaterThan(0)
    expect(row?.output_tokens).toBeLessThanOrEqual(40)
    expect(row?.charge_pico).toBe(row?.tier_price_pico)
  })
})
