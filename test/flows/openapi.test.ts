/** The served description against what is served. */
import { Ajv2020 } from 'ajv/dist/2020.js'
import { beforeAll, describe, expect, test } from 'vitest'
import { useDatabase } from '#test/database.ts'
import { type Customer, makePayer, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)

type Schema = Record<string, unknown>
interface Operation {
  operationId: string
  requestBody?: { content: { 'application/json': { schema: Schema } } }
  responses: Record<string, { headers?: Schema; content?: Record<string, { schema: Schema }> }>
}
interface Document {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

let document: Document
let customer: Customer
let ajv: Ajv2020

beforeAll(async () => {
  customer = await makePayer('openai', 'openrouter')
  document = (await (await fetch(`${gateway.origin}/v1/openapi.json`)).json()) as Document
  ajv = new Ajv2020({ strict: false })
  ajv.addSchema({ $id: 'doc', ...document })
})

const check = (schema: Schema, value: unknown): string => {
  const valid = ajv.compile({ $id: undefined, ...JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"doc#/')) })
  return valid(value) ? '' : ajv.errorsText(valid.errors)
}

const send = (method: string, path: string, body?: unknown, token: string | null = customer.token) =>
  fetch(`${gateway.origin}${path}`, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })

const operations = () =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, operation]) =>
      method === 'parameters'
        ? []
        : [{ path: path.replace('{model}', 'gpt-5-mini'), method: method.toUpperCase(), operation }],
    ),
  )

const good: Record<string, unknown> = {
  chat: { model: 'gpt-5-mini', messages: [{ role: 'user', content: 'hello' }] },
  responses: { model: 'gpt-5-mini', input: 'hello' },
  embeddings: { model: 'text-embedding-3-small', input: 'hello' },
  recordUsage: {
    ...{ specversion: '1.0', id: 'a', source: 'test', type: 'compute_seconds', time: new Date().toISOString() },
    data: { quantity: 1.5 },
  },
  admitJob: { kind: 'review', surface: 'agent_run', model: 'gpt-5-mini' },
  rerank: { model: 'openrouter/cohere/rerank-v3.5', query: 'q', documents: ['a', 'b'] },
}

describe('the description of the gateway', () => {
  test('is OpenAPI 3.1, and every reference in it leads somewhere', () => {
    expect(document.openapi).toBe('3.1.0')
    for (const [, target] of JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g))
      expect(document.components.schemas).toHaveProperty(target as string)
    const ids = operations().map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  /** What says something of a call that fell back, or that was given a limit. */
  const onlySometimes = new Set(['x-keymargin-fallback-of', 'x-keymargin-output-limit'])

  test('describes requests that are served, with the headers it promises', async () => {
    for (const { path, method, operation } of operations()) {
      const body = good[operation.operationId]
      const schema = operation.requestBody?.content['application/json'].schema
      if (schema) expect([operation.operationId, check(schema, body)]).toEqual([operation.operationId, ''])
      if (operation.operationId === 'rerank') continue // its provider's sandbox is asked in a test of its own
      const response = await send(method, path, body)
      expect([path, response.status]).toEqual([path, 200])
      const promised = operation.responses['200']
      for (const name of Object.keys(promised?.headers ?? {}))
        if (!onlySometimes.has(name)) expect(response.headers.has(name)).toBe(true)
      const described = promised?.content?.['application/json']?.schema
      if (described) expect([path, check(described, await response.json())]).toEqual([path, ''])
    }
  })

  test.each<[string, string, unknown, number]>([
    ['chat', '/v1/chat/completions', { messages: [{}] }, 400],
    ['chat', '/v1/chat/completions', { model: 'gpt-5-mini', messages: [] }, 400],
    ['chat', '/v1/chat/completions', { model: 'gpt-5-mini', messages: [{}], n: 9 }, 400],
    ['chat', '/v1/chat/completions', { model: 'gpt-5-mini', messages: [{}], stream: 'yes' }, 400],
    ['responses', '/v1/responses', { model: 'gpt-5-mini', input: 'x', background: true }, 400],
    ['embeddings', '/v1/embeddings', { model: 'text-embedding-3-small' }, 400],
    ['rerank', '/v1/rerank', { model: 'x', documents: ['a'] }, 400],
    [
      'recordUsage',
      '/v1/usage/events',
      { specversion: '1.0', id: 'a', source: 'b', type: 'c', data: { quantity: -1 } },
      400,
    ],
    ['admitJob', '/v1/admission', { kind: '' }, 400],
    ['admitJob', '/v1/admission', { kind: 'x', who: 'y' }, 400],
  ])('refuses in %s what it says it refuses', async (id, path, body, status) => {
    const operation = operations().find((each) => each.operation.operationId === id)?.operation
    expect(check(operation?.requestBody?.content['application/json'].schema ?? {}, body)).not.toBe('')
    const response = await send('POST', path, body)
    expect(response.status).toBe(status)
    expect(check({ $ref: '#/components/schemas/Error' }, await response.json())).toBe('')
  })

  test('its errors have the shape it gives them, whatever goes wrong', async () => {
    const cases: [number, Promise<Response>][] = [
      [401, send('GET', '/v1/models', undefined, null)],
      [401, send('GET', '/v1/models', undefined, 'km_test_none')],
      [404, send('GET', '/v1/models/nobody')],
      [404, send('GET', '/v1/nothing')],
      [405, send('GET', '/v1/chat/completions')],
      [405, send('POST', '/v1/models', {})],
      [400, send('POST', '/v1/chat/completions', { model: 'nobody/x', messages: [{}], api_key: 'x' })],
    ]
    for (const [status, asked] of cases) {
      const response = await asked
      expect(response.status).toBe(status)
      expect(check({ $ref: '#/components/schemas/Error' }, await response.json())).toBe('')
    }
  })

  test.each([
    '/v1',
    '/v1/',
    '/v1/completions',
    '/v1/chat',
    '/v1/chat/completions/',
    '/v1//models',
    '/v1/messages',
    '/v1/keys',
    '/v1/files',
  ])('does not hide a route: %s', async (path) => {
    for (const method of ['GET', 'POST'])
      expect((await send(method, path, method === 'POST' ? {} : undefined)).status).toBe(404)
  })
})
