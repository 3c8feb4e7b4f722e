import { describe, expect, test } from 'vitest'
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
  until,
  useGateway,
} from '#test/gateway.ts'
import type { Scenario } from '#test/sandbox/openrouter/scenario.ts'

const db = useDatabase()
const gateway = useGateway(db)
const model = 'openai/gpt-5-mini'

const bodyOf = (stream: boolean, content = 'hello') =>
  JSON.stringify({ model, stream, messages: [{ role: 'user', content }] })

function post(base: string, bearer: string, body: string, signal?: AbortSignal): Promise<Response> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${bearer}` }
  return fetch(`${base}/chat/completions`, { method: 'POST', headers, body, signal })
}

const viaGateway = (customer: Customer, body: string, signal?: AbortSignal) =>
  post(`${gateway.origin}/v1`, customer.token, body, signal)
const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer())

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
      'x-keymargin-charge-mode',
      'x-keymargin-externally-billed',
      'x-keymargin-key-source',
      'x-keymargin-provider',
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
    const asked = viaGateway(customer, bodyOf(streamed, content), leave.signal)
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
