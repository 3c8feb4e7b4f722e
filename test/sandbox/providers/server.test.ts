/** The sandbox's dialects, heard by clients that others wrote: what they understand is what the providers would send. */
import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, jsonSchema, streamText, tool } from 'ai'
import OpenAI, { AzureOpenAI } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { providerIds } from '#app/domain/providers/provider.ts'
import { catalogues } from './catalogue.ts'
import { sandboxAccessKeyId, sandboxAwsSecret, sandboxKey } from './keys.ts'
import { type ProvidersSandbox, startProvidersSandbox } from './server.ts'

let sandbox: ProvidersSandbox
beforeAll(async () => {
  sandbox = await startProvidersSandbox()
})
afterAll(() => sandbox.close())

const mark = '[[sandbox input=30;output=20;cached=10;reasoning=5]]'
const weather = tool({
  inputSchema: jsonSchema<{ city: string }>({ type: 'object', properties: { city: { type: 'string' } } }),
})

const native: ProviderId[] = ['anthropic', 'bedrock', 'azure', 'azure-responses', 'openai-responses']
const firstChat = (id: ProviderId) => catalogues[id].find((sold) => !sold.kind && !sold.retired)?.id ?? ''

describe.each(providerIds.filter((id) => !native.includes(id)))('%s, heard by the openai SDK', (id) => {
  const client = () => new OpenAI({ baseURL: sandbox.baseUrl(id), apiKey: sandboxKey(id), maxRetries: 0 })
  const model = firstChat(id)
  const messages = [{ role: 'user' as const, content: mark }]

  it('answers, with usage', async () => {
    const reply = await client().chat.completions.create({ model, messages })
    expect(reply.choices[0]?.message.content).not.toBe('')
    expect(reply.usage?.total_tokens).toBe(50)
    expect(reply.usage?.completion_tokens).toBe(id === 'xai' || id === 'google' ? 15 : 20)
  })

  it('streams, and closes with usage where it is asked for and the provider reports it', async () => {
    const asked = id === 'nvidia' ? {} : { stream_options: { include_usage: true } }
    let text = ''
    let used: number | undefined
    for await (const chunk of await client().chat.completions.create({ model, messages, stream: true, ...asked })) {
      text += chunk.choices[0]?.delta?.content ?? ''
      used = chunk.usage?.total_tokens ?? used
    }
    expect(text.split(' ').length).toBeGreaterThan(10)
    expect(used).toBe(id === 'nvidia' || id === 'morpheus' ? undefined : 50)
  })

  it('refuses a revoked key and an unknown model as typed errors', async () => {
    const revoked = new OpenAI({ baseURL: sandbox.baseUrl(id), apiKey: sandboxKey(id, 'revoked'), maxRetries: 0 })
    await expect(revoked.chat.completions.create({ model, messages })).rejects.toMatchObject({
      status: id === 'xai' || id === 'google' ? 400 : id === 'novita' ? 403 : 401,
    })
    const status = id === 'together' ? 400 : 404
    await expect(client().chat.completions.create({ model: 'none/such', messages })).rejects.toMatchObject({ status })
  })
})

describe('translated dialects, heard by the AI SDK', () => {
  const anthropic = () => createAnthropic({ baseURL: sandbox.baseUrl('anthropic'), apiKey: sandboxKey('anthropic') })
  const accessKeyId = sandboxAccessKeyId()
  const bedrock = (secretAccessKey = sandboxAwsSecret(accessKeyId)) =>
    createAmazonBedrock({ baseURL: sandbox.baseUrl('bedrock'), region: 'us-east-1', accessKeyId, secretAccessKey })
  const models = {
    anthropic: () => anthropic()('claude-sonnet-4-6'),
    bedrock: () => bedrock()('us.anthropic.claude-sonnet-4-6-v1:0'),
  }

  it.each(['anthropic', 'bedrock'] as const)(
    '%s answers, streams and calls tools, with inclusive usage',
    async (id) => {
      const model = models[id]()
      const plain = await generateText({ model, prompt: mark, maxOutputTokens: 200, maxRetries: 0 })
      expect(plain.text).not.toBe('')
      expect(plain.usage).toMatchObject({ inputTokens: 30, outputTokens: 20 })
      const streamed = streamText({ model, prompt: mark, maxOutputTokens: 200, maxRetries: 0 })
      expect((await streamed.text).length).toBeGreaterThan(20)
      expect(await streamed.usage).toMatchObject({ inputTokens: 30, outputTokens: 20 })
      expect(await streamed.reasoningText).toBe('Let me count.')
      const called = await generateText({ model, prompt: 'weather?', tools: { weather }, maxRetries: 0 })
      expect(called.toolCalls[0]).toMatchObject({ toolName: 'weather', input: { city: 'Paris' } })
    },
  )

  it('a signature made with another secret does not hold', async () => {
    const model = bedrock('x'.repeat(40))('amazon.nova-lite-v1:0')
    await expect(generateText({ model, prompt: 'hi', maxRetries: 0 })).rejects.toMatchObject({ statusCode: 403 })
    expect(sandbox.calls('bedrock').at(-1)?.auth).toBe('sigv4 refused')
  })

  it.each(['anthropic', 'bedrock'] as const)('%s fails in the middle of a stream, and is cut', async (id) => {
    for (const scenario of ['midStreamError=2', 'cut=2']) {
      const prompt = `[[sandbox ${scenario}]]`
      const streamed = streamText({ model: models[id](), prompt, maxRetries: 0, onError() {} })
      const seen: string[] = []
      try {
        for await (const part of streamed.fullStream) seen.push(part.type)
      } catch {
        seen.push('error')
      }
      expect(seen).toContain('error')
    }
  })
})

describe('Azure and Responses, heard by the openai SDK', () => {
  it('a deployment by its URL, and one that does not exist', async () => {
    const options = {
      endpoint: sandbox.baseUrl('azure'),
      apiKey: sandboxKey('azure'),
      apiVersion: '2024-10-21',
      maxRetries: 0,
    }
    const azure = new AzureOpenAI({ ...options, deployment: 'prod-gpt5' })
    const messages = [{ role: 'user' as const, content: mark }]
    expect((await azure.chat.completions.create({ model: 'x', messages })).usage?.total_tokens).toBe(50)
    const other = new AzureOpenAI({ ...options, deployment: 'nobody' })
    await expect(other.chat.completions.create({ model: 'x', messages })).rejects.toMatchObject({
      status: 404,
      code: 'DeploymentNotFound',
    })
  })

  it.each(['openai', 'openai-responses'] as const)('%s: responses, plain and streamed, with tools', async (id) => {
    const client = new OpenAI({ baseURL: sandbox.baseUrl(id), apiKey: sandboxKey(id), maxRetries: 0 })
    const plain = await client.responses.create({ model: 'gpt-5-mini', input: mark })
    expect(plain).toMatchObject({ status: 'completed', usage: { total_tokens: 50 } })
    expect(plain.output_text).not.toBe('')
    const tools = [
      { type: 'function' as const, name: 'weather', strict: false, parameters: { properties: { city: {} } } },
    ]
    const events = []
    for await (const event of await client.responses.create({
      model: 'gpt-5-mini',
      input: 'go',
      tools,
      stream: true,
    }))
      events.push(event)
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index))
    expect(events.at(-1)).toMatchObject({
      type: 'response.completed',
      response: { output: [{ type: 'function_call' }] },
    })
  })
})

it('embeddings come as numbers or as base64, reranking in order', async () => {
  const client = new OpenAI({ baseURL: sandbox.baseUrl('openai'), apiKey: sandboxKey('openai'), maxRetries: 0 })
  const request = { model: 'text-embedding-3-small', input: ['one', 'two'] }
  const base64 = await client.embeddings.create(request)
  const floats = await client.embeddings.create({ ...request, encoding_format: 'float' })
  expect(base64.data[0]?.embedding).toEqual(floats.data[0]?.embedding.map(Math.fround))
  const rerank = await fetch(`${sandbox.baseUrl('openrouter')}/rerank`, {
    method: 'POST',
    headers: { authorization: `Bearer ${sandboxKey('openrouter')}` },
    body: JSON.stringify({ model: 'cohere/rerank-v3.5', query: 'abc', documents: ['xyz', 'abc'] }),
  })
  expect((await rerank.json()) as object).toMatchObject({ results: [{ index: 1, relevance_score: 1 }, { index: 0 }] })
})

it('parallel tools are all called, one where the client wants one', async () => {
  const provider = createOpenAICompatible({
    name: 'xai',
    baseURL: sandbox.baseUrl('xai'),
    apiKey: sandboxKey('xai'),
    includeUsage: true,
  })
  const tools = { weather, clock: weather }
  const streamed = streamText({ model: provider('grok-4.3'), prompt: 'both', tools, maxRetries: 0 })
  expect((await streamed.toolCalls).map((call) => call.toolName)).toEqual(['weather', 'clock'])
})
