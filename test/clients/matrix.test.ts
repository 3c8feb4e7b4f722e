/** Clients that others wrote, unchanged, against every dialect: what a vendor's app would meet. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { parseCredential } from '#app/domain/providers/parse-credential.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, ledgerOf, makePayer, openAttemptsOf, sealedKey, until, useGateway } from '#test/gateway.ts'
import type { Scenario } from '#test/sandbox/openrouter/scenario.ts'
import { aiSdkCompatible, aiSdkOpenRouter } from './ai-sdk-client.ts'
import { type ClientLibrary, type Target, weatherTool } from './client.ts'
import { langchainClient } from './langchain-client.ts'
import { openaiClient } from './openai-client.ts'

const db = useDatabase()
const gateway = useGateway(db)

const clients: ClientLibrary[] = [openaiClient, aiSdkCompatible, aiSdkOpenRouter, langchainClient]
const upstreams: { dialect: string; provider: ProviderId; model: string }[] = [
  { dialect: 'OpenAI’s, at OpenRouter', provider: 'openrouter', model: 'openai/gpt-5-mini' },
  { dialect: 'OpenAI’s, at Groq', provider: 'groq', model: 'openai/gpt-oss-120b' },
  { dialect: 'Anthropic’s Messages', provider: 'anthropic', model: 'claude-opus-4-6' },
  { dialect: 'Bedrock’s Converse', provider: 'bedrock', model: 'anthropic.claude-sonnet-4-6-v1:0' },
  { dialect: 'Google’s compatible', provider: 'google', model: 'gemini-3-pro' },
  { dialect: 'Azure’s deployment', provider: 'azure', model: 'prod-gpt5' },
  { dialect: 'OpenAI’s Responses', provider: 'openai-responses', model: 'gpt-5-mini' },
]

function fault(provider: ProviderId, scenario: Scenario): void {
  if (provider === 'openrouter') gateway.sandbox.fault({ scenario })
  else gateway.providers.fault({ match: { provider }, scenario })
}

describe.each(upstreams)('an upstream of dialect: $dialect', ({ provider, model }) => {
  let customer: Customer
  let target: Target
  let before = 0
  beforeAll(async () => {
    customer = await makePayer(provider)
    target = { baseURL: `${gateway.origin}/v1`, token: customer.token, model }
  })

  /** The one row that a call left: none is lost, none is there twice. */
  async function theRow() {
    const rows = await until(async () => {
      const all = await ledgerOf(db, customer.workspaceId)
      return all.length > before && all
    }, 'the call in the ledger')
    expect(rows).toHaveLength(before + 1)
    before = rows.length
    return rows.at(-1) as NonNullable<(typeof rows)[number]>
  }

  afterEach(async () => {
    await until(async () => (await openAttemptsOf(db)) === 0, 'no attempt left open')
  })

  describe.each(clients)('$name', (client) => {
    test('plain', async () => {
      fault(provider, { input: 21, output: 9 })
      const { text, usage } = await client.plain(target)
      expect(text.length).toBeGreaterThan(10)
      const row = await theRow()
      expect(row).toMatchObject({ provider, status: 'ok', streamed: false, input_tokens: 21, output_tokens: 9 })
      expect(usage).toEqual({ input: 21, output: 9 })
    })

    test('stream', async () => {
      fault(provider, { input: 21, output: 9, chunks: 4 })
      const { text, pieces, usage } = await client.stream(target)
      expect([text.length > 10, pieces > 1]).toEqual([true, true])
      expect(await theRow()).toMatchObject({
        provider,
        status: 'ok',
        streamed: true,
        input_tokens: 21,
        output_tokens: 9,
      })
      expect(usage).toEqual({ input: 21, output: 9 })
    })

    test.each([
      ['plain', false],
      ['streamed', true],
    ])('tools, %s', async (_name, streamed) => {
      const calls = await client.tools(target, streamed)
      expect(calls.map((call) => call.name)).toContain(weatherTool.name)
      for (const call of calls) expect(call.arguments).toHaveProperty('city')
      expect(await theRow()).toMatchObject({ status: 'ok', streamed })
    })

    test.each([
      [401, null],
      [402, null],
      [429, '7'],
    ])('a refusal with %i', async (error, retryAfter) => {
      fault(provider, { error, echoKey: true, ...(retryAfter ? { retryAfter } : {}) })
      const failure = await client.failure(target)
      expect(failure.status).toBe(error)
      for (const secret of parseCredential(provider, sealedKey(provider)).secrets)
        expect(failure.message).not.toContain(secret)
      // LangChain's own error for 429 keeps no headers.
      if (client !== langchainClient) expect(failure.retryAfter).toBe(retryAfter)
      expect(await theRow()).toMatchObject({
        status: 'rejected_upstream',
        http_status: error,
        raw_cost_pico: 0n,
        charge_pico: 0n,
      })
    })

    test('an error in the middle of a stream is heard', async () => {
      fault(provider, { midStreamError: 2, chunks: 6 })
      expect(await client.brokenStream(target)).not.toBe(null)
      expect(await theRow()).toMatchObject({ status: 'upstream_error', charge_pico: 0n })
    })

    test('a stream whose connection is cut is no clean end', async () => {
      fault(provider, { cut: 3, chunks: 6 })
      expect(await client.brokenStream(target)).not.toBe(null)
      expect(await theRow()).toMatchObject({ status: 'upstream_error', charge_pico: 0n })
    })

    test('a client that leaves is metered all the same', async () => {
      fault(provider, { chunks: 20, gapMs: 10, input: 21, output: 20 })
      await client.leave(target)
      const row = await theRow()
      expect(row.status).toBe('client_closed')
      expect(row.input_tokens).toBe(21)
    })
  })
})
