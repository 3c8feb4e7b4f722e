/** What else the official library does: embeddings, responses, models, and errors by their type. */
import OpenAI from 'openai'
import { describe, expect, test } from 'vitest'
import { useDatabase } from '#test/database.ts'
import { type Customer, ledgerOf, makeCustomer, makePayer, until, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)
const messages = [{ role: 'user' as const, content: 'hello' }]
const open = ({ token }: Pick<Customer, 'token'>) =>
  new OpenAI({ baseURL: `${gateway.origin}/v1`, apiKey: token, maxRetries: 0 })

describe('the official library', () => {
  test('embeddings, as floats and in base64', async () => {
    const customer = await makePayer('openai')
    const client = open(customer)
    const floats = await client.embeddings.create({
      model: 'text-embedding-3-small',
      input: ['a', 'b'],
      encoding_format: 'float',
    })
    expect(floats.data.map((each) => each.index)).toEqual([0, 1])
    const packed = await client.embeddings.create({ model: 'text-embedding-3-small', input: 'a' })
    expect(packed.data[0]?.embedding.length).toBe(floats.data[0]?.embedding.length)
    expect(await ledgerOf(db, customer.workspaceId)).toHaveLength(2)
  })

  test('responses: plain, streamed, with a tool', async () => {
    const client = open(await makePayer('openai'))
    expect((await client.responses.create({ model: 'gpt-5-mini', input: 'hello' })).output_text.length).toBeGreaterThan(
      5,
    )
    const kinds: string[] = []
    for await (const event of await client.responses.create({ model: 'gpt-5-mini', input: 'hello', stream: true }))
      kinds.push(event.type)
    expect([kinds[0], kinds.at(-1)]).toEqual(['response.created', 'response.completed'])
  })

  test('models: the list, one of them, and one that is not there', async () => {
    const client = open(await makePayer('openai', 'anthropic'))
    const ids = (await client.models.list()).data.map((model) => model.id)
    expect(ids).toEqual(expect.arrayContaining(['gpt-5-mini', 'claude-opus-4-6']))
    expect((await client.models.retrieve('gpt-5-mini')).id).toBe('gpt-5-mini')
    await expect(client.models.retrieve('nobody/nothing')).rejects.toBeInstanceOf(OpenAI.NotFoundError)
  })

  test('errors are of the types that apps catch', async () => {
    const customer = await makePayer('openai')
    const ask = (more: object = {}) =>
      open(customer).chat.completions.create({ model: 'gpt-5-mini', messages, ...more })
    const wrong = new OpenAI({ baseURL: `${gateway.origin}/v1`, apiKey: 'km_test_wrong', maxRetries: 0 })
    await expect(wrong.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError)
    await expect(ask({ api_key: 'x' })).rejects.toMatchObject({
      code: 'unsupported_parameter',
      param: 'api_key',
      type: 'invalid_request_error',
    })
    await expect(ask({ max_tokens: -1 })).rejects.toBeInstanceOf(OpenAI.BadRequestError)
    for (const [error, type] of [
      [401, OpenAI.AuthenticationError],
      [403, OpenAI.PermissionDeniedError],
      [404, OpenAI.NotFoundError],
      [422, OpenAI.UnprocessableEntityError],
      [429, OpenAI.RateLimitError],
      [500, OpenAI.InternalServerError],
      [503, OpenAI.InternalServerError],
    ] as const) {
      gateway.providers.fault({ scenario: { error } })
      await expect(ask()).rejects.toBeInstanceOf(type)
    }
  })

  test('retries as the library does by default are calls of their own, each in the ledger', async () => {
    const customer = await makePayer('openai')
    const client = new OpenAI({ baseURL: `${gateway.origin}/v1`, apiKey: customer.token, maxRetries: 1 })
    gateway.providers.fault({ scenario: { error: 503, retryAfter: '0' } })
    await client.chat.completions.create({ model: 'gpt-5-mini', messages })
    const rows = await ledgerOf(db, customer.workspaceId)
    expect(rows.map((row) => row.status)).toEqual(['rejected_upstream', 'ok'])
  })

  test('an abort before the first byte', async () => {
    const customer = await makePayer('openai')
    gateway.providers.fault({ scenario: { firstMs: 200, gapMs: 1 } })
    const left = new AbortController()
    const before = gateway.providers.calls('openai').length
    const asked = open(customer).chat.completions.create(
      { model: 'gpt-5-mini', messages, stream: true },
      { signal: left.signal },
    )
    await until(() => gateway.providers.calls('openai').length > before, 'the request upstream')
    left.abort()
    await expect(asked).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    const [row] = await until(async () => {
      const rows = await ledgerOf(db, customer.workspaceId)
      return rows.length > 0 && rows
    }, 'the call in the ledger')
    expect(row?.status).toBe('client_closed')
  })

  test('all of it on the platform key as well', async () => {
    const customer = await makeCustomer({ key: null })
    const client = open(customer)
    await client.chat.completions.create({ model: 'openai/gpt-5-mini', messages })
    expect((await client.models.list()).data.length).toBeGreaterThan(5)
    expect(await ledgerOf(db, customer.workspaceId)).toMatchObject([{ key_source: 'platform', charge_mode: 'tier' }])
  })
})
