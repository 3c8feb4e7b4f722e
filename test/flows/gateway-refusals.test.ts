import { connect } from 'node:net'
import { describe, expect, test, vi } from 'vitest'
import { makeGatewayToken as makeTokenText } from '#app/domain/tokens/tokens.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, ledgerOf, makeCustomer, until, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)
const canary = 'canary-4711'
const good = JSON.stringify({ model: 'openai/gpt-5-mini', messages: [{ role: 'user', content: 'hello' }] })

let shared: Promise<Customer> | undefined
const customerOf = () => (shared ??= makeCustomer())

async function call(
  options: {
    path?: string
    method?: string
    body?: string | Uint8Array
    headers?: Record<string, string>
    token?: string | null
  } = {},
) {
  const token = options.token === undefined ? (await customerOf()).token : options.token
  const method = options.method ?? 'POST'
  return fetch(`${gateway.origin}${options.path ?? '/v1/chat/completions'}`, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...options.headers,
    },
    body: method === 'GET' || method === 'HEAD' ? undefined : ((options.body ?? good) as string),
  })
}

/** Sends bytes as they are and answers everything that came back. */
function rawExchange(text: string): Promise<string> {
  const { port } = new URL(gateway.origin)
  return new Promise((resolve) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(text))
    let back = ''
    socket.on('data', (piece) => {
      back += piece
    })
    socket.on('close', () => resolve(back))
    socket.on('error', () => resolve(back))
  })
}

const upstreamHits = () => gateway.sandbox.chats().length

describe('a refused request names what to change, quotes nothing and reaches no provider', () => {
  const cases: [string, Parameters<typeof call>[0], number, string][] = [
    ['no authorization', { token: null }, 401, 'missing_token'],
    ['Basic', { token: null, headers: { authorization: `Basic ${canary}` } }, 401, 'malformed_authorization'],
    ['Bearer alone', { token: null, headers: { authorization: 'Bearer' } }, 401, 'malformed_authorization'],
    ['injection', { token: "'OR'1'='1" }, 401, 'invalid_token'],
    ['a provider key', { token: `sk-or-v1-${canary}` }, 401, 'invalid_token'],
    ['unknown token', { token: makeTokenText('test') }, 401, 'invalid_token'],
    ['token in the query', { path: `/v1/chat/completions?api_key=${canary}` }, 400, 'token_in_query'],
    ['not JSON', { body: canary }, 400, 'invalid_json'],
    ['empty body', { body: '' }, 400, 'invalid_json'],
    ['array', { body: `["${canary}"]` }, 400, 'invalid_json'],
    ['gzip', { headers: { 'content-encoding': 'gzip' } }, 415, 'unsupported_encoding'],
    ['form', { headers: { 'content-type': 'multipart/form-data; boundary=x' } }, 415, 'unsupported_media_type'],
    ['over 4 MiB', { body: `{"user":"${'x'.repeat(4 * 1024 * 1024)}"}` }, 413, 'body_too_large'],
    ['unknown model', { body: good.replace('openai/gpt-5-mini', `acme/${canary}`) }, 404, 'model_not_found'],
    ['a sandbox model', { body: good.replace('gpt-5-mini', 'gpt-5-mini:online') }, 404, 'model_not_found'],
    ['unknown surface', { headers: { 'x-keymargin-surface': canary } }, 400, 'unknown_surface'],
    ['surface in the wrong case', { headers: { 'x-keymargin-surface': 'Agent_Run' } }, 400, 'unknown_surface'],
    ['own endpoint', { body: good.replace('{', `{"base_url":"http://${canary}",`) }, 400, 'unsupported_parameter'],
    ['climbing path', { path: '/v1//chat/../chat/completions' }, 404, 'unknown_endpoint'],
    ['unknown endpoint', { path: `/v1/${canary}` }, 404, 'unknown_endpoint'],
    ['GET on chat', { method: 'GET' }, 405, 'method_not_allowed'],
    ['HEAD on chat', { method: 'HEAD' }, 405, 'method_not_allowed'],
    ['POST on models', { path: '/v1/models' }, 405, 'method_not_allowed'],
  ]

  test.each(cases)('%s', async (_name, options, status, code) => {
    const { workspaceId } = await customerOf()
    const before = [upstreamHits(), (await ledgerOf(db, workspaceId)).length]
    const response = await call(options)
    const text = await response.text()
    expect(response.status).toBe(status)
    if (options?.method !== 'HEAD')
      expect(JSON.parse(text).error).toMatchObject({
        code,
        message: expect.any(String),
        request_id: expect.any(String),
      })
    expect(text).not.toContain(canary)
    expect([upstreamHits(), (await ledgerOf(db, workspaceId)).length]).toEqual(before)
    expect(response.headers.get('server')).toBe(null)
    expect(response.headers.get('x-powered-by')).toBe(null)
  })
})

describe('malformed HTTP', () => {
  const head = async (...lines: string[]) =>
    [
      `POST /v1/chat/completions HTTP/1.1`,
      'Host: gateway',
      `Authorization: Bearer ${(await customerOf()).token}`,
      'Content-Type: application/json',
      ...lines,
      '',
      '',
    ].join('\r\n')

  test('two Authorization headers are refused, whichever is right', async () => {
    const text = await rawExchange(
      `${await head(`Authorization: Bearer ${makeTokenText('test')}`, `Content-Length: ${good.length}`, 'Connection: close')}${good}`,
    )
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
    expect(text).toContain('duplicate_authorization')
  })

  test('both Content-Length and Transfer-Encoding: refused and closed', async () => {
    const text = await rawExchange(`${await head('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
  })

  test('a body that breaks off reaches no provider', async () => {
    const before = upstreamHits()
    const socketText = await head('Content-Length: 5000')
    await new Promise<void>((resolve) => {
      const socket = connect(Number(new URL(gateway.origin).port), '127.0.0.1', () =>
        socket.end(`${socketText}${good}`),
      )
      socket.on('close', () => resolve())
      socket.on('error', () => resolve())
      socket.resume()
    })
    expect(upstreamHits()).toBe(before)
  })

  test('Expect: 100-continue works', async () => {
    const text = await rawExchange(
      `${await head('Expect: 100-continue', `Content-Length: ${good.length}`, 'Connection: close')}${good}`,
    )
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
  })

  test('hop-by-hop and forwarding headers do not reach the provider', async () => {
    const headers = {
      'x-forwarded-for': '1.2.3.4',
      'x-forwarded-host': canary,
      'x-real-ip': '1.2.3.4',
      'x-sandbox': 'error=500',
      cookie: canary,
      te: 'trailers',
    }
    const response = await call({ headers })
    expect(response.status).toBe(200)
    const line = gateway.sandbox.chats().at(-1)
    expect(line?.headers).toEqual({ 'x-request-id': response.headers.get('x-keymargin-call-id') })
  })

  test('Accept: image/png is answered as JSON', async () => {
    const response = await call({ headers: { accept: 'image/png' } })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json'])
  })
})

describe('tokens', () => {
  test('a typo is refused by the checksum, without being looked up', async () => {
    const { token } = await customerOf()
    const queries = vi.spyOn(systemPool(), 'query')
    const isLookUp = ([query]: unknown[]) => (query as { name?: string }).name === 'admission'
    const lookUps = () => queries.mock.calls.filter(isLookUp).length
    for (let at = 8; at < token.length; at += 5) {
      const typo = `${token.slice(0, at)}${token[at] === 'a' ? 'b' : 'a'}${token.slice(at + 1)}`
      expect((await call({ token: typo })).status).toBe(401)
    }
    expect(lookUps()).toBe(0)
    expect((await call({ token: makeTokenText('test') })).status).toBe(401)
    expect(lookUps()).toBe(1)
  })

  test('a revoked token is refused from the next call on, and looks like an unknown one', async () => {
    const customer = await makeCustomer()
    expect((await call({ token: customer.token })).status).toBe(200)
    await db.owner.query('UPDATE gateway_tokens SET revoked_at = now() WHERE workspace_id = $1', [customer.workspaceId])
    const revoked = await call({ token: customer.token })
    const unknown = await call({ token: makeTokenText('test') })
    const said = (text: string) => ({ ...JSON.parse(text).error, request_id: null })
    expect(revoked.status).toBe(401)
    expect(said(await revoked.text())).toEqual(said(await unknown.text()))
  })

  test('a test token is refused where only live ones count', async () => {
    const { token } = await customerOf()
    db.configure({ KEYMARGIN_SANDBOX: '0' })
    const refused = await call({ token })
    db.configure({ KEYMARGIN_SANDBOX: '1' })
    expect([refused.status, (await refused.json()).error.code]).toEqual([401, 'wrong_environment'])
  })

  test('its last use is noted', async () => {
    const customer = await makeCustomer()
    await call({ token: customer.token })
    const noted = async () => {
      const { rows } = await db.owner.query('SELECT last_used_at FROM gateway_tokens WHERE workspace_id = $1', [
        customer.workspaceId,
      ])
      return rows[0].last_used_at
    }
    await until(noted, 'the last use')
  })
})

describe('GET /v1/models', () => {
  test('lists what is offered, in OpenAI’s shape, and one model by its id', async () => {
    const list = await (await call({ path: '/v1/models', method: 'GET' })).json()
    expect(list.object).toBe('list')
    expect(list.data.map((model: { id: string }) => model.id)).toContain('openai/gpt-5-mini')
    expect(await (await call({ path: '/v1/models/openai/gpt-5-mini', method: 'GET' })).json()).toMatchObject({
      object: 'model',
      owned_by: 'openai',
    })
    expect((await call({ path: '/v1/models/acme/none', method: 'GET' })).status).toBe(404)
    expect((await call({ path: '/v1/models', method: 'GET', token: null })).status).toBe(401)
  })
})
