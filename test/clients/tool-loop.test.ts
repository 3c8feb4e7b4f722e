/** Conversations that go on: clients send a reply back as they hold it, with the results of its tools, to every dialect. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { HumanMessage, ToolMessage } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { createOpenRouter } from '@openrouter/ai-sdk-provider'
import { generateText, jsonSchema, type LanguageModel, Output, stepCountIs, streamText, tool } from 'ai'
import OpenAI from 'openai'
import { makeParseableResponseFormat, makeParseableTool } from 'openai/lib/parser'
import { beforeAll, describe, expect, test } from 'vitest'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, ledgerOf, makePayer, useGateway } from '#test/gateway.ts'
import { weatherTool } from './client.ts'

const db = useDatabase()
const gateway = useGateway(db)

const upstreams: { provider: ProviderId; model: string }[] = [
  { provider: 'openrouter', model: 'openai/gpt-5-mini' },
  { provider: 'nvidia', model: 'moonshotai/kimi-k2.6' },
  { provider: 'anthropic', model: 'claude-opus-4-6' },
  { provider: 'bedrock', model: 'anthropic.claude-sonnet-4-6-v1:0' },
  { provider: 'google', model: 'gemini-3-pro' },
  { provider: 'azure', model: 'prod-gpt5' },
  { provider: 'openai-responses', model: 'gpt-5-mini' },
]

const ask = { role: 'user' as const, content: 'How is the weather?' }
const weather = async ({ city }: { city: string }) => `warm in ${city}`

describe.each(upstreams)('an upstream of $provider', ({ provider, model }) => {
  let customer: Customer
  let baseURL: string
  beforeAll(async () => {
    customer = await makePayer(provider)
    baseURL = `${gateway.origin}/v1`
  })
  const openai = () => new OpenAI({ baseURL, apiKey: customer.token, maxRetries: 0 })

  /** Every call of the conversation went through, and there were so many. */
  async function calls(count: number, run: () => Promise<string | null | undefined>): Promise<void> {
    const before = (await ledgerOf(db, customer.workspaceId)).length
    expect((await run())?.length).toBeGreaterThan(5)
    const rows = (await ledgerOf(db, customer.workspaceId)).slice(before)
    expect(rows.map((row) => row.status)).toEqual(Array(count).fill('ok'))
  }

  function nextReply(text: string): void {
    const fault = { scenario: { text } }
    if (provider === 'openrouter') gateway.sandbox.fault(fault)
    else gateway.providers.fault({ match: { provider }, ...fault })
  }

  test.each([false, true])('openai runs tools, streamed: %s', (stream) =>
    calls(2, () => {
      const fn = { ...weatherTool, strict: true, parse: JSON.parse, function: weather }
      const request = {
        model,
        stream: stream as false,
        messages: [ask],
        tools: [{ type: 'function' as const, function: fn }],
      }
      return openai().chat.completions.runTools(request).finalContent()
    }),
  )

  test('openai sends back what its helper for streams made of a reply', () =>
    calls(2, async () => {
      const options = { parser: JSON.parse, callback: undefined }
      const parsing = makeParseableTool({ type: 'function', function: { ...weatherTool, strict: true } }, options)
      const request = { model, messages: [ask], tools: [parsing], tool_choice: 'required' as const }
      const first = await openai().chat.completions.stream(request).finalChatCompletion()
      const message = first.choices[0]?.message
      expect(message?.tool_calls?.[0]).toHaveProperty('function.parsed_arguments.city')
      const results = (message?.tool_calls ?? []).map(({ id }) => ({
        role: 'tool' as const,
        tool_call_id: id,
        content: 'warm',
      }))
      const messages = [ask, ...(message ? [message] : []), ...results]
      const second = await openai().chat.completions.create({ model, messages, tools: [parsing] })
      return second.choices[0]?.message.content
    }))

  test('openai sends back a reply that it parsed', () =>
    calls(2, async () => {
      nextReply('{"city":"Łódź"}')
      const format = { type: 'json_schema' as const, json_schema: { name: 'place', schema: weatherTool.parameters } }
      const response_format = makeParseableResponseFormat(format, JSON.parse)
      const first = await openai().chat.completions.parse({ model, messages: [ask], response_format })
      const message = first.choices[0]?.message
      expect(message?.parsed).toEqual({ city: 'Łódź' })
      const messages = [ask, ...(message ? [message] : []), { role: 'user' as const, content: 'And there?' }]
      return (await openai().chat.completions.create({ model, messages })).choices[0]?.message.content
    }))

  const models: [string, () => LanguageModel][] = [
    [
      '@ai-sdk/openai-compatible',
      () => createOpenAICompatible({ name: 'keymargin', baseURL, apiKey: customer.token })(model),
    ],
    ['@openrouter/ai-sdk-provider', () => createOpenRouter({ baseURL, apiKey: customer.token })(model)],
  ]
  describe.each(models)('ai with %s', (_name, modelOf) => {
    const inputSchema = jsonSchema<{ city: string }>(weatherTool.parameters)
    const tools = { [weatherTool.name]: tool({ description: weatherTool.description, inputSchema, execute: weather }) }
    const request = () => ({ model: modelOf(), prompt: ask.content, tools, stopWhen: stepCountIs(3), maxRetries: 0 })
    test('plain', () => calls(2, async () => (await generateText(request())).text))
    test('streamed', () => calls(2, async () => streamText({ ...request(), onError: () => {} }).text))
  })

  /** As the console's snippet makes it, or as it comes. */
  const asked = (supportsStructuredOutputs: boolean) =>
    generateText({
      model: createOpenAICompatible({ name: 'keymargin', baseURL, apiKey: customer.token, supportsStructuredOutputs })(
        model,
      ),
      prompt: ask.content,
      output: Output.object({ schema: jsonSchema<{ city: string }>(weatherTool.parameters) }),
      maxRetries: 0,
    })

  test('ai gets an object by its schema', () =>
    calls(1, async () => {
      nextReply('{"city":"Łódź"}')
      const { output } = await asked(true)
      expect(output).toEqual({ city: 'Łódź' })
      return JSON.stringify(output)
    }))

  if (provider === 'anthropic' || provider === 'bedrock')
    test('ai is told how to send its schema', () =>
      expect(asked(false)).rejects.toThrow('supportsStructuredOutputs: true'))

  test('@langchain/openai', () =>
    calls(2, async () => {
      const settings = { model, apiKey: customer.token, maxRetries: 0, maxTokens: 300, configuration: { baseURL } }
      const llm = new ChatOpenAI(settings).bindTools([{ type: 'function', function: weatherTool }])
      const first = await llm.invoke(ask.content)
      const results = (first.tool_calls ?? []).map(
        ({ id = '', name }) => new ToolMessage({ content: 'warm', tool_call_id: id, name }),
      )
      return String((await llm.invoke([new HumanMessage(ask.content), first, ...results])).content)
    }))
})
