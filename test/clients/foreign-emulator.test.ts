/**
 * The gateway against an emulator that others wrote (aimock): our own sandbox and our own dialects could share a
 * misreading of a provider's format, and would then agree with each other.
 */
import { LLMock } from '@copilotkit/aimock'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, ledgerOf, makePayer, openAttemptsOf, useGateway } from '#test/gateway.ts'
import { question, weatherTool } from './client.ts'
import { openaiClient } from './openai-client.ts'

const db = useDatabase()
const gateway = useGateway(db)
const mock = new LLMock({ port: 0 })
const answer = 'A foreign emulator answers with these words.'

const upstreams: { provider: ProviderId; model: string; at: string }[] = [
  { provider: 'openai', model: 'gpt-5-mini', at: '/v1' },
  { provider: 'openai-responses', model: 'gpt-5-mini', at: '/v1' },
  { provider: 'anthropic', model: 'claude-opus-4-6', at: '/v1' },
  { provider: 'bedrock', model: 'anthropic.claude-sonnet-4-6-v1:0', at: '' },
  { provider: 'azure', model: 'prod-gpt5', at: '' },
  { provider: 'google', model: 'gemini-3-pro', at: '/v1beta/openai' },
]
const customers = new Map<ProviderId, Customer>()

beforeAll(async () => {
  for (const { provider } of upstreams) customers.set(provider, await makePayer(provider))
  mock.on(
    { predicate: ({ tools }) => (tools?.length ?? 0) > 0 },
    { toolCalls: [{ name: weatherTool.name, arguments: '{"city":"Łódź"}' }] },
  )
  mock.onMessage(question, { content: answer })
  mock.onEmbedding('to embed', { embedding: [0.25, -0.5] })
  await mock.start()
  const settings = upstreams.map(({ provider, at }) => [
    `PROVIDER_BASE_URL_${provider.toUpperCase().replaceAll('-', '_')}`,
    `${mock.url}${at}`,
  ])
  db.configure(Object.fromEntries(settings))
})
afterAll(() => mock.stop())

const targetOf = (provider: ProviderId, model: string) => ({
  baseURL: `${gateway.origin}/v1`,
  token: customers.get(provider)?.token ?? '',
  model,
})
const lastRow = async (provider: ProviderId) => (await ledgerOf(db, customers.get(provider)?.workspaceId ?? '')).at(-1)

describe.each(upstreams)('$provider', ({ provider, model }) => {
  const target = () => targetOf(provider, model)

  test('plain', async () => {
    const { text, usage } = await openaiClient.plain(target())
    expect(text).toBe(answer)
    expect(await lastRow(provider)).toMatchObject({ provider, status: 'ok', input_tokens: usage?.input ?? null })
  })

  test('stream', async () => {
    const { text } = await openaiClient.stream(target())
    expect(text).toBe(answer)
    expect(await lastRow(provider)).toMatchObject({ provider, status: 'ok', streamed: true })
  })

  test.each([
    ['plain', false],
    ['streamed', true],
  ])('tools, %s', async (_name, streamed) => {
    expect(await openaiClient.tools(target(), streamed)).toEqual([
      { name: weatherTool.name, arguments: { city: 'Łódź' } },
    ])
    expect(await openAttemptsOf(db)).toBe(0)
  })
})

describe('the other endpoints at openai', () => {
  const client = () => {
    const { baseURL, token } = targetOf('openai', '')
    return new OpenAI({ baseURL, apiKey: token, maxRetries: 0 })
  }

  test('a response, plain and streamed', async () => {
    const plain = await client().responses.create({ model: 'gpt-5-mini', input: question })
    expect(plain.output_text).toBe(answer)
    let text = ''
    const stream = await client().responses.create({ model: 'gpt-5-mini', input: question, stream: true })
    for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta
    expect(text).toBe(answer)
    expect(await lastRow('openai')).toMatchObject({ endpoint: 'responses', status: 'ok' })
  })

  test('embeddings', async () => {
    const reply = await client().embeddings.create({
      model: 'text-embedding-3-small',
      input: 'to embed',
      encoding_format: 'float',
    })
    expect(reply.data[0]?.embedding).toEqual([0.25, -0.5])
    expect(await lastRow('openai')).toMatchObject({ endpoint: 'embeddings', status: 'ok' })
  })
})
