import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai'
import OpenAI from 'openai'
import { beforeAll, describe, expect, test } from 'vitest'
import { parsePico } from '#app/platform/pico.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, customerKey, lastChat, ledgerOf, makeCustomer, useGateway } from '#test/gateway.ts'
import type { Scenario } from '#test/sandbox/openrouter/scenario.ts'

const db = useDatabase()
const gateway = useGateway(db)
const model = 'openai/gpt-5-mini'
const weather = { city: { type: 'string' }, days: { type: 'integer' } } as const

/** What one conversation came to, told by either client in the same words. */
interface Told {
  text: string
  toolArguments?: unknown
  finish?: string | null
  inputTokens?: number
}

interface Failed {
  status: number | undefined
  body: string
  retryAfter?: string | null
}

/** One client library, reduced to what the tests ask of it. */
interface Speaker {
  name: string
  plain(prompt: string): Promise<Told>
  stream(prompt: string): Promise<Told>
  tools(prompt: string): Promise<Told>
  failure(error: unknown): Failed
}

function officialClient(customer: Customer): Speaker {
  const client = new OpenAI({ baseURL: `${gateway.origin}/v1`, apiKey: customer.token, maxRetries: 0 })
  const ask = (content: string) => ({ model, messages: [{ role: 'user' as const, content }] })
  const tools: OpenAI.Chat.ChatCompletionTool[] = [
    { type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: weather } } },
  ]
  return {
    name: 'openai',
    async plain(prompt) {
      const { choices, usage } = await client.chat.completions.create(ask(prompt))
      return {
        text: choices[0]?.message.content ?? '',
        finish: choices[0]?.finish_reason,
        inputTokens: usage?.prompt_tokens,
      }
    },
    async stream(prompt) {
      const whole = await client.chat.completions.stream(ask(prompt)).finalChatCompletion()
      return {
        text: whole.choices[0]?.message.content ?? '',
        finish: whole.choices[0]?.finish_reason,
        inputTokens: whole.usage?.prompt_tokens,
      }
    },
    async tools(prompt) {
      const first = await client.chat.completions.stream({ ...ask(prompt), tools }).finalChatCompletion()
      const message = first.choices[0]?.message
      const call = message?.tool_calls?.[0]
      if (!message || call?.type !== 'function') throw new Error('no tool was called')
      const messages = [
        ...ask(prompt).messages,
        message,
        { role: 'tool' as const, tool_call_id: call.id, content: 'sunny' },
      ]
      const second = await client.chat.completions.create({ model, tools, messages })
      return { text: second.choices[0]?.message.content ?? '', toolArguments: JSON.parse(call.function.arguments) }
    },
    failure(error) {
      const { status, headers, message, error: body } = error as InstanceType<typeof OpenAI.APIError>
      return { status, body: `${message} ${JSON.stringify(body)}`, retryAfter: headers?.get('retry-after') }
    },
  }
}

function aiSdkClient(customer: Customer): Speaker {
  const provider = createOpenAICompatible({
    name: 'keymargin',
    baseURL: `${gateway.origin}/v1`,
    apiKey: customer.token,
    includeUsage: true,
  })
  const settings = { model: provider(model), maxRetries: 0 }
  return {
    name: 'ai',
    async plain(prompt) {
      const { text, finishReason, usage } = await generateText({ ...settings, prompt })
      return { text, finish: finishReason, inputTokens: usage.inputTokens }
    },
    async stream(prompt) {
      let failure: unknown
      const result = streamText({
        ...settings,
        prompt,
        onError: ({ error }) => {
          failure = error
        },
      })
      let text = ''
      for await (const piece of result.textStream) text += piece
      if (failure) throw failure
      return { text, finish: await result.finishReason, inputTokens: (await result.usage).inputTokens }
    },
    async tools(prompt) {
      let toolArguments: unknown
      const execute = async (input: unknown) => {
        toolArguments = input
        return 'sunny'
      }
      const weatherTool = tool({ inputSchema: jsonSchema({ type: 'object', properties: weather }), execute })
      const result = streamText({ ...settings, prompt, tools: { weather: weatherTool }, stopWhen: stepCountIs(2) })
      let text = ''
      for await (const piece of result.textStream) text += piece
      return { text, toolArguments }
    },
    failure(error) {
      const { statusCode, responseBody, responseHeaders, message } = error as {
        statusCode?: number
        responseBody?: string
        responseHeaders?: Record<string, string>
        message?: string
      }
      return { status: statusCode, body: `${message} ${responseBody}`, retryAfter: responseHeaders?.['retry-after'] }
    },
  }
}

describe.each([
  ['the official openai client', officialClient],
  ['the AI SDK', aiSdkClient],
] as [string, (customer: Customer) => Speaker][])('%s', (_name, makeSpeaker) => {
  let customer: Customer
  let speaker: Speaker

  beforeAll(async () => {
    customer = await makeCustomer()
    speaker = makeSpeaker(customer)
  })

  const lastRow = async () => (await ledgerOf(db, customer.workspaceId)).at(-1)

  test('plain: the answer arrives, and the ledger holds the provider’s own numbers', async () => {
    const told = await speaker.plain('hello')
    expect(told.text).not.toBe('')
    expect(told.finish).toBe('stop')
    const line = lastChat(gateway.sandbox)
    expect(await lastRow()).toMatchObject({
      status: 'ok',
      usage_source: 'provider',
      cost_source: 'provider',
      key_source: 'workspace',
      charge_mode: 'tier_margin',
      surface: 'agent_run',
      upstream_id: line.generation,
      input_tokens: line.usage?.input,
      output_tokens: line.usage?.output,
      raw_cost_pico: parsePico(line.cost ?? ''),
      streamed: false,
    })
    expect(told.inputTokens).toBe(line.usage?.input)
  })

  test('streamed: the same words, the same bill', async () => {
    const plain = await speaker.plain('hello')
    const told = await speaker.stream('hello')
    expect(told.text).toBe(plain.text)
    expect(told.finish).toBe('stop')
    const line = lastChat(gateway.sandbox)
    expect(told.inputTokens).toBe(line.usage?.input)
    expect(await lastRow()).toMatchObject({
      status: 'ok',
      streamed: true,
      usage_source: 'provider',
      raw_cost_pico: parsePico(line.cost ?? ''),
    })
  })

  test('tools: called, answered, and both calls billed', async () => {
    const before = (await ledgerOf(db, customer.workspaceId)).length
    const told = await speaker.tools('hello')
    expect(told.toolArguments).toEqual({ city: 'Paris', days: 7 })
    expect(told.text).not.toBe('')
    const rows = (await ledgerOf(db, customer.workspaceId)).slice(before)
    expect(rows.map((row) => row.status)).toEqual(['ok', 'ok'])
  })

  async function failing(mode: 'plain' | 'stream', scenario: Scenario): Promise<Failed> {
    gateway.sandbox.fault({ scenario })
    const error = await speaker[mode]('hello').then(
      () => {
        throw new Error('it should have failed')
      },
      (thrown: unknown) => thrown,
    )
    return speaker.failure(error)
  }

  test.each(['plain', 'stream'] as const)(
    'an upstream 401 (%s) is passed on without the key, costs nothing and never falls back',
    async (mode) => {
      const chats = gateway.sandbox.chats().length
      const failed = await failing(mode, { error: 401, echoKey: true })
      expect(failed.status).toBe(401)
      expect(failed.body).toContain('provider_key_rejected')
      expect(failed.body).not.toContain(customerKey)
      expect(failed.body).not.toContain(customerKey.slice(9, 25))
      expect(gateway.sandbox.chats().length).toBe(chats + 1)
      expect(await lastRow()).toMatchObject({
        status: 'rejected_upstream',
        http_status: 401,
        key_source: 'workspace',
        charge_pico: 0n,
        raw_cost_pico: 0n,
      })
    },
  )

  test('an upstream 402 is passed on', async () => {
    const failed = await failing('plain', { error: 402 })
    expect(failed.status).toBe(402)
    expect(failed.body).toContain('provider_payment_required')
    expect(await lastRow()).toMatchObject({ status: 'rejected_upstream', http_status: 402, charge_pico: 0n })
  })

  test('an upstream 429 is passed on with its Retry-After', async () => {
    const failed = await failing('stream', { error: 429, retryAfter: '7' })
    expect([failed.status, failed.retryAfter]).toEqual([429, '7'])
    expect(await lastRow()).toMatchObject({
      status: 'rejected_upstream',
      http_status: 429,
      error_code: 'provider_rate_limited',
    })
  })

  test('an error in the middle of a stream reaches the client, and what was said is billed as the provider bills it', async () => {
    const failed = await failing('stream', { midStreamError: 3, output: 24 })
    expect(failed.body).not.toBe('')
    await gateway.sandbox.settled()
    const line = lastChat(gateway.sandbox)
    expect(await lastRow()).toMatchObject({
      status: 'upstream_error',
      error_code: 'provider_unavailable',
      usage_source: 'generation',
      output_tokens: 3,
      raw_cost_pico: parsePico(line.cost ?? ''),
    })
  })

  test('a socket cut in the middle of a stream is an error to the client, and is billed as the provider bills it', async () => {
    await failing('stream', { cut: 3, output: 24 })
    await gateway.sandbox.settled()
    const line = lastChat(gateway.sandbox)
    expect(await lastRow()).toMatchObject({
      status: 'upstream_error',
      error_code: 'upstream_interrupted',
      usage_source: 'generation',
      output_tokens: 24,
      raw_cost_pico: parsePico(line.cost ?? ''),
    })
  })
})
