/** Searches, audio and images that a price list does not hold make a call's cost unknown; a price of their own makes it known. */
import { afterEach, describe, expect, test } from 'vitest'
import { readPrices } from '#app/domain/operations/read-prices.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { forgetPriceLists } from '#app/domain/pricing/find-price.server.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { newId } from '#app/platform/ids.ts'
import { useDatabase } from '#test/database.ts'
import { ledgerOf, makePayer, openAttemptsOf, until, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)

const operator: OperatorCtx = {
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: () => new Date(),
  requestId: newId(),
}

type Body = Record<string, unknown>

/** One call whose provider reports this; its row. */
async function rowOf(provider: ProviderId, model: string, scenario: Body, more: Body = {}, path = 'chat/completions') {
  const customer = await makePayer(provider)
  gateway.providers.fault({ match: { provider }, scenario })
  const asked = path === 'responses' ? { input: 'hello' } : { messages: [{ role: 'user', content: 'hello' }] }
  const response = await fetch(`${gateway.origin}/v1/${path}`, {
    method: 'POST',
    headers: {
      ...{ 'content-type': 'application/json', authorization: `Bearer ${customer.token}` },
      'x-byok-provider': provider,
    },
    body: JSON.stringify({ model, ...asked, ...more }),
  })
  expect(response.status).toBe(200)
  const text = await response.text()
  return { text, row: (await ledgerOf(db, customer.workspaceId)).at(-1) }
}

const missingOf = async (provider: string, model: string): Promise<string | undefined> => {
  const { unpriced } = await readPrices(operator)
  return unpriced.find((row) => row.provider === provider && row.model === model)?.missing
}

afterEach(async () => {
  expect(await openAttemptsOf(db)).toBe(0)
})

const chat = (more: string) => `{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,${more}}`
const audio = chat('"prompt_tokens_details":{"audio_tokens":40},"completion_tokens_details":{"audio_tokens":20}')

describe('what the price does not hold', () => {
  test.each<[string, ProviderId, string, string, string]>([
    ['audio', 'openai', 'gpt-5-mini', audio, 'audio input, audio output'],
    [
      'images written',
      'google',
      'gemini-3-flash',
      chat('"completion_tokens_details":{"image_tokens":30}'),
      'image output',
    ],
    ['sources searched', 'xai', 'grok-4.3', chat('"num_sources_used":3'), 'tools of the provider'],
    [
      'Bedrock’s own tools',
      'bedrock',
      'anthropic.claude-sonnet-4-6-v1:0',
      '{"inputTokens":100,"outputTokens":50,"serverToolUsage":{"webSearchRequests":0,"groundingRequests":1}}',
      'tools of the provider',
    ],
  ])('leaves the cost unknown, plain and streamed: %s', async (_name, provider, model, usageText, missing) => {
    await db.owner.query(
      `INSERT INTO price_overrides (provider, model, input_usd, output_usd, updated_at) VALUES ($1, $2, 0.001, 0.002, now())
       ON CONFLICT DO NOTHING`,
      [provider, model],
    )
    forgetPriceLists()
    for (const stream of [false, true]) {
      const { row } = await rowOf(provider, model, { usageText }, { stream })
      expect(row).toMatchObject({ input_tokens: 100, raw_cost_pico: null, cost_source: 'unknown', price_row: null })
    }
    await until(async () => (await missingOf(provider, model)) === missing, 'the note of what is missing')
  })

  test('a Responses reply shows its own tools in its output, plain and streamed', async () => {
    const usage = { input_tokens: 100, output_tokens: 50, total_tokens: 150 }
    const done = {
      ...{ id: 'resp_1', object: 'response', model: 'gpt-5-mini', status: 'completed', error: null },
      ...{ output: [{ type: 'web_search_call', id: 'ws_1', status: 'completed' }], usage },
    }
    const event = JSON.stringify({ type: 'response.completed', response: done })
    const plain = { status: 200, headers: [['content-type', 'application/json']], pieces: [JSON.stringify(done)] }
    const streamed = {
      ...{ status: 200, headers: [['content-type', 'text/event-stream']] },
      pieces: [`event: response.completed\ndata: ${event}\n\n`],
    }
    for (const [raw, stream] of [
      [plain, false],
      [streamed, true],
    ] as const) {
      for (const [provider, path] of [
        ['openai', 'responses'],
        ['openai-responses', 'chat/completions'],
      ] as const) {
        const { row } = await rowOf(provider, 'gpt-5-mini', { raw }, { stream }, path)
        expect(row).toMatchObject({ input_tokens: 100, output_tokens: 50, raw_cost_pico: null, cost_source: 'unknown' })
      }
    }
  })

  test('stays on the operator’s list although the model has a price, with what to do', async () => {
    await until(
      async () => (await missingOf('openai', 'gpt-5-mini')) === 'tools of the provider',
      'the note of what is missing',
    )
  })
})

describe('what has a price of its own', () => {
  test('Anthropic’s searches cost what the tables say, and the row says how many there were', async () => {
    const usageText = '{"input_tokens":100,"output_tokens":50,"server_tool_use":{"web_search_requests":2}}'
    for (const stream of [false, true]) {
      const { row, text } = await rowOf('anthropic', 'claude-sonnet-4-6', { usageText }, { stream })
      expect(row?.price_row).toMatchObject({ apart: { search: 2 }, usd: { search: '0.010000000000000000' } })
      const usd: Record<string, string> = row?.price_row?.usd ?? {}
      const tokens = 100 * Number(usd.input) + 50 * Number(usd.output)
      expect(Number(row?.raw_cost_pico) / 1e12).toBeCloseTo(tokens + 0.02, 9)
      if (!stream) expect(JSON.parse(text).usage.server_tool_use).toEqual({ web_search_requests: 2 })
    }
  })

  test('audio costs its own rate where the tables have one', async () => {
    const { row } = await rowOf('azure', 'prod-gpt5', { usageText: audio, replyModel: 'gpt-audio' })
    expect(row).toMatchObject({ cost_source: 'list_price', price_row: { apart: { audio_in: 40, audio_out: 20 } } })
    expect(row?.raw_cost_pico).toBe(60n * 2_500_000n + 40n * 32_000_000n + 30n * 10_000_000n + 20n * 64_000_000n)
  })
})
