/** Every provider's calls, from the client's request to the row in the ledger. */
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { forgetPriceLists } from '#app/domain/pricing/find-price.server.ts'
import { type ProviderId, providerIds } from '#app/domain/providers/provider.ts'
import { flushKeyHealth } from '#app/domain/vault/note-key-health.server.ts'
import { parsePico } from '#app/platform/pico.ts'
import { useDatabase } from '#test/database.ts'
import { saveKeyDirectly } from '#test/factories.ts'
import { type Customer, ledgerOf, makeCustomer, makePayer, openAttemptsOf, until, useGateway } from '#test/gateway.ts'
import { catalogues } from '#test/sandbox/providers/catalogue.ts'
import { sandboxCredential } from '#test/sandbox/providers/credentials.ts'

const db = useDatabase()
const gateway = useGateway(db)

type Body = Record<string, unknown>
const paths = { chat: 'chat/completions', responses: 'responses', embeddings: 'embeddings', rerank: 'rerank' }

const call = (
  customer: Customer,
  body: Body,
  headers: Record<string, string> = {},
  path: keyof typeof paths = 'chat',
) =>
  fetch(`${gateway.origin}/v1/${paths[path]}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${customer.token}`, ...headers },
    body: JSON.stringify(body),
  })

const asking = (model: string, more: Body = {}): Body => ({
  model,
  messages: [{ role: 'user', content: 'hello' }],
  ...more,
})
const via = (provider: ProviderId) => ({ 'x-byok-provider': provider })

const lastRow = async (customer: Customer) => (await ledgerOf(db, customer.workspaceId)).at(-1)
const eventsOf = (text: string): Body[] =>
  [...text.matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => JSON.parse(data as string) as Body)
const isUsageEvent = ({ choices, usage }: Body) => Array.isArray(choices) && choices.length === 0 && usage != null

afterEach(async () => {
  expect(await openAttemptsOf(db)).toBe(0)
})

/** How each key travels, and where a chat goes. */
const table: { id: ProviderId; auth: string; path: RegExp; model?: string }[] = providerIds.map((id) => {
  const bearer = { id, auth: 'bearer', path: /^\/chat\/completions$/ }
  if (id === 'anthropic') return { id, auth: 'x-api-key', path: /^\/messages$/ }
  if (id === 'bedrock')
    return { id, auth: 'sigv4', path: /^\/model\/anthropic\.claude-sonnet-4-6-v1(?::|%3A)0\/converse(-stream)?$/ }
  if (id === 'azure')
    return {
      id,
      auth: 'api-key',
      path: /^\/openai\/deployments\/prod-gpt5\/chat\/completions\?api-version=2024-10-21$/,
    }
  if (id === 'azure-responses') return { id, auth: 'api-key', path: /^\/openai\/v1\/responses$/ }
  if (id === 'openai-responses') return { ...bearer, path: /^\/responses$/ }
  if (id === 'sambanova') return { ...bearer, model: 'DeepSeek-V4-Flash' }
  return bearer
})

describe('a chat under a saved key', () => {
  const ours = table.filter(({ id }) => id !== 'openrouter')
  test.each(ours)('$id', async ({ id, auth, path, model = catalogues[id][0]?.id ?? '' }) => {
    const customer = await makePayer(id)
    const plain = await call(customer, asking(model), via(id))
    const reply = (await plain.json()) as { object: string; choices: Body[]; usage: Record<string, number> }
    expect([plain.status, reply.object, plain.headers.get('x-keymargin-provider')]).toEqual([
      200,
      'chat.completion',
      id,
    ])
    expect(reply.choices[0]).toMatchObject({ message: { role: 'assistant', content: expect.any(String) } })
    const row = await lastRow(customer)
    expect(row).toMatchObject({
      provider: id,
      status: 'ok',
      key_source: 'workspace',
      charge_mode: 'pass_through',
      charge_pico: 0n,
      usage_source: 'provider',
      input_tokens: reply.usage.prompt_tokens,
    })
    expect(row?.output_tokens).toBe((reply.usage.total_tokens ?? 0) - (reply.usage.prompt_tokens ?? 0))

    const streamed = await call(customer, asking(model, { stream: true }), via(id))
    const text = await streamed.text()
    expect(text).toContain('data: [DONE]')
    expect(eventsOf(text).filter(isUsageEvent)).toEqual([])
    expect(await lastRow(customer)).toMatchObject({ provider: id, status: 'ok', streamed: true })

    const lines = gateway.providers.calls(id).slice(-2)
    for (const line of lines) {
      expect(line).toMatchObject({ auth, status: 200 })
      expect(line.path).toMatch(path)
    }
    await flushKeyHealth()
    const key = await db.owner.query(
      'SELECT last_success_at, last_error_code FROM provider_keys WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    expect(key.rows).toEqual([{ last_success_at: expect.any(Date), last_error_code: null }])
  })
})

describe('usage', () => {
  const stream = async (provider: ProviderId, body: Body, scenario = {}) => {
    const customer = await makePayer(provider)
    gateway.providers.fault({ match: { provider }, scenario })
    const response = await call(customer, { stream: true, ...body }, via(provider))
    const text = await response.text()
    return {
      customer,
      text,
      events: eventsOf(text),
      row: await lastRow(customer),
      sent: gateway.providers.calls(provider).at(-1),
    }
  }

  test('is asked for although the client did not, and the event stays here', async () => {
    const { events, row, sent } = await stream('openai', asking('gpt-5-mini'), { input: 21, output: 9 })
    expect(JSON.parse(sent?.body ?? '{}').stream_options).toEqual({ include_usage: true })
    expect(events.filter(isUsageEvent)).toEqual([])
    expect(row).toMatchObject({ usage_source: 'provider', input_tokens: 21, output_tokens: 9 })
  })

  test('reaches the client that asked for it', async () => {
    const asked = { stream_options: { include_usage: true } }
    const { events } = await stream('openai', { ...asking('gpt-5-mini'), ...asked }, { input: 21, output: 9 })
    expect(events.filter(isUsageEvent)).toHaveLength(1)
    const translated = await stream('anthropic', { ...asking('claude-opus-4-6'), ...asked }, { input: 21, output: 9 })
    expect(translated.events.filter(isUsageEvent)).toHaveLength(1)
  })

  test.each<[string, ProviderId, string, Body, Body]>([
    [
      'Groq says it twice on the last chunk: read once',
      'groq',
      'openai/gpt-oss-120b',
      { input: 21, output: 9 },
      { input_tokens: 21, output_tokens: 9 },
    ],
    [
      'Google repeats a growing one on each chunk: the last, never the sum',
      'google',
      'gemini-3-pro',
      { input: 21, output: 9, chunks: 5 },
      { input_tokens: 21, output_tokens: 9 },
    ],
    [
      'Google leaves thoughts out of the completion: the total counts',
      'google',
      'gemini-3-pro',
      { input: 21, output: 30, reasoning: 12 },
      { input_tokens: 21, output_tokens: 30 },
    ],
    [
      'xAI leaves reasoning out of the completion: the total counts',
      'xai',
      'grok-4.3',
      { input: 12, output: 291, reasoning: 290 },
      { input_tokens: 12, output_tokens: 291 },
    ],
    [
      'DeepSeek has its own name for cache hits',
      'deepseek',
      'deepseek-v4-flash',
      { input: 100, output: 9, cached: 64 },
      { input_tokens: 100, output_tokens: 9, cache_read_tokens: '64' },
    ],
    [
      'Anthropic’s input leaves cache out: it becomes inclusive',
      'anthropic',
      'claude-opus-4-6',
      { input: 100, output: 9, cached: 64, cacheWrite: 16 },
      { input_tokens: 100, output_tokens: 9, cache_read_tokens: '64', cache_write_tokens: '16' },
    ],
    [
      'Bedrock’s input leaves cache out: it becomes inclusive',
      'bedrock',
      'anthropic.claude-sonnet-4-6-v1:0',
      { input: 100, output: 9, cached: 64 },
      { input_tokens: 100, output_tokens: 9, cache_read_tokens: '64' },
    ],
    [
      'Responses tell it in their last event',
      'openai-responses',
      'gpt-5-mini',
      { input: 21, output: 9, reasoning: 4 },
      { input_tokens: 21, output_tokens: 9, reasoning_tokens: '4' },
    ],
    [
      'Azure’s first chunk without choices changes nothing',
      'azure',
      'prod-gpt5',
      { input: 21, output: 9 },
      { input_tokens: 21, output_tokens: 9 },
    ],
  ])('%s', async (_name, provider, model, scenario, expected) => {
    const { row } = await stream(provider, asking(model), scenario)
    expect(row).toMatchObject({ usage_source: 'provider', ...expected })
  })

  test('is never asked of NVIDIA, and estimated by a real tokenizer from the words that passed', async () => {
    const { row, sent, events } = await stream('nvidia', asking('moonshotai/kimi-k2.6'), { usage: 'none', output: 40 })
    expect(JSON.parse(sent?.body ?? '{}')).not.toHaveProperty('stream_options')
    const said = events
      .map((event) => (event.choices as { delta?: { content?: string } }[])[0]?.delta?.content ?? '')
      .join('')
    expect(row).toMatchObject({
      usage_source: 'estimated',
      input_tokens: countTokens('hello'),
      output_tokens: countTokens(said),
    })
  })

  test('what NVIDIA’s strict schema does not know is refused by name', async () => {
    const customer = await makePayer('nvidia')
    const response = await call(customer, asking('moonshotai/kimi-k2.6', { verbosity: 'low' }), via('nvidia'))
    expect([response.status, ((await response.json()) as { error: Body }).error.param]).toEqual([400, 'verbosity'])
  })
})

describe('the other endpoints', () => {
  test('a response, plain and streamed; its end is held until the ledger has the call', async () => {
    const customer = await makePayer('openai')
    gateway.providers.fault({ scenario: { input: 31, output: 8 } })
    const plain = await call(customer, { model: 'gpt-5-mini', input: 'hello' }, {}, 'responses')
    expect(await plain.json()).toMatchObject({ object: 'response', usage: { input_tokens: 31 } })
    expect(await lastRow(customer)).toMatchObject({ endpoint: 'responses', input_tokens: 31, output_tokens: 8 })
    gateway.providers.fault({ scenario: { input: 33, output: 8 } })
    const streamed = await call(customer, { model: 'gpt-5-mini', input: 'hello', stream: true }, {}, 'responses')
    const text = await streamed.text()
    expect(text).toContain('response.completed')
    expect(await lastRow(customer)).toMatchObject({
      endpoint: 'responses',
      streamed: true,
      input_tokens: 33,
      output_tokens: 8,
    })
  })

  test('a response whose last event is larger than what is kept of other streams', async () => {
    const customer = await makePayer('openai')
    gateway.providers.fault({ scenario: { input: 33, output: 6_000, text: 'many words '.repeat(6_000), chunks: 20 } })
    const streamed = await call(customer, { model: 'gpt-5-mini', input: 'hello', stream: true }, {}, 'responses')
    expect((await streamed.text()).length).toBeGreaterThan(100_000)
    expect(await lastRow(customer)).toMatchObject({ usage_source: 'provider', input_tokens: 33, output_tokens: 6_000 })
  })

  test('embeddings, by the input alone', async () => {
    const customer = await makePayer('openai')
    const reply = await call(customer, { model: 'text-embedding-3-small', input: ['hello', 'there'] }, {}, 'embeddings')
    const { usage } = (await reply.json()) as { usage: { prompt_tokens: number } }
    expect(await lastRow(customer)).toMatchObject({
      endpoint: 'embeddings',
      tier: 'none',
      input_tokens: usage.prompt_tokens,
      output_tokens: 0,
      cost_source: 'list_price',
    })
  })

  test('an endpoint that the provider lacks is said', async () => {
    const customer = await makePayer('anthropic')
    const response = await call(customer, { model: 'claude-opus-4-6', input: 'x' }, {}, 'embeddings')
    expect(await response.json()).toMatchObject({ error: { code: 'endpoint_not_served' } })
  })
})

describe('what a call cost', () => {
  const price = (provider: string, model: string) =>
    db.owner.query(
      `INSERT INTO price_overrides (provider, model, input_usd, output_usd, updated_at) VALUES ($1, $2, 0.001, 0.002, now())`,
      [provider, model],
    )
  const catalogue = (provider: string, models: Body) =>
    db.owner.query(
      `INSERT INTO provider_catalogues (provider, models, fetched_at) VALUES ($1, $2, now())
       ON CONFLICT (provider) DO UPDATE SET models = excluded.models`,
      [provider, JSON.stringify(models)],
    )
  const costOf = async (provider: ProviderId, model: string, scenario: Body = { input: 10, output: 5 }) => {
    const customer = await makePayer(provider)
    gateway.providers.fault({ match: { provider }, scenario })
    await (await call(customer, asking(model), via(provider))).text()
    return lastRow(customer)
  }
  beforeAll(() => void forgetPriceLists())

  test('comes from the price tables where the provider sends no bill, and the row used stays with the call', async () => {
    expect(await costOf('openai', 'gpt-5-mini')).toMatchObject({
      cost_source: 'list_price',
      raw_cost_pico: 10n * 250_000n + 5n * 2_000_000n,
      price_row: {
        source: 'genai_prices',
        model: 'gpt-5-mini',
        usd: { input: '0.000000250000000000', output: '0.000002000000000000' },
      },
    })
  })

  test('comes from the provider’s own list before the tables, with its conditions', async () => {
    await catalogue('xai', {
      'grok-4.3': {
        input: '0.000001',
        output: '0.000002',
        overrides: [{ minPromptTokens: 100, prices: { input: '0.00001' } }],
      },
    })
    forgetPriceLists()
    expect(await costOf('xai', 'grok-4.3')).toMatchObject({
      raw_cost_pico: 20_000_000n,
      price_row: { source: 'provider_catalogue' },
    })
    expect(await costOf('xai', 'grok-4.3', { input: 101, output: 5 })).toMatchObject({ raw_cost_pico: 1_020_000_000n })
  })

  test('holds what Bedrock keeps in its cache for an hour at Claude’s price for that, which its tables lack', async () => {
    const usageText = JSON.stringify({
      ...{
        inputTokens: 20,
        outputTokens: 10,
        totalTokens: 1_030,
        cacheReadInputTokens: 0,
        cacheWriteInputTokens: 1_000,
      },
      cacheDetails: [
        { ttl: '1h', inputTokens: 600 },
        { ttl: '5m', inputTokens: 400 },
      ],
    })
    const row = await costOf('bedrock', 'anthropic.claude-sonnet-4-6-v1:0', { usageText })
    const usd = row?.price_row.usd as Record<string, string>
    const [input = 0n, output = 0n, write = 0n, hour] = [usd.input, usd.output, usd.cacheWrite, usd.cacheWriteHour].map(
      (text) => parsePico(text ?? ''),
    )
    expect(hour).toBe(2n * input)
    expect(row?.raw_cost_pico).toBe(20n * input + 10n * output + 400n * write + 600n * 2n * input)
  })

  test('of a deployment is that of the model that its reply names, not of the name somebody gave it', async () => {
    expect(await costOf('azure', 'prod-gpt5', { input: 10, output: 5, replyModel: 'gpt-4o' })).toMatchObject({
      cost_source: 'list_price',
      price_row: { source: 'genai_prices', model: 'gpt-4o' },
    })
  })

  test('comes from the operator’s own row before all', async () => {
    await price('deepseek', 'deepseek-v4-flash')
    forgetPriceLists()
    expect(await costOf('deepseek', 'deepseek-v4-flash')).toMatchObject({
      raw_cost_pico: 20_000_000_000n,
      price_row: { source: 'override' },
    })
  })

  test('is unknown where nobody knows, never 0, and the model is on the operator’s list', async () => {
    expect(await costOf('sambanova', 'Meta-Llama-4-Maverick')).toMatchObject({
      raw_cost_pico: null,
      cost_source: 'unknown',
    })
    const listed = () =>
      db.owner
        .query(`SELECT model, calls FROM unpriced_models WHERE provider = 'sambanova' AND model LIKE 'Meta%'`)
        .then(({ rows }) => rows[0])
    expect(await until(listed, 'the list')).toEqual({ model: 'Meta-Llama-4-Maverick', calls: '1' })
  })

  test('of a dedicated deployment is unknown: it is paid by the hour, and no list has it', async () => {
    const customer = await makePayer('fireworks')
    const model = 'accounts/fireworks/models/kimi-k2p6#accounts/alice/deployments/gpt-5-mini'
    expect((await call(customer, asking(model))).status).toBe(200)
    expect(JSON.parse(gateway.providers.calls('fireworks').at(-1)?.body ?? '{}').model).toBe(model)
    expect(await lastRow(customer)).toMatchObject({ provider: 'fireworks', model, tier: 'none', raw_cost_pico: null })
  })

  test('a cost in the reply of a host that does not bill us is not believed', async () => {
    expect(await costOf('groq', 'openai/gpt-oss-120b', { input: 10, output: 5, cost: '1000' })).toMatchObject({
      cost_source: 'list_price',
    })
  })
})

describe('where a call goes', () => {
  const providerOfCall = async (customer: Customer, model: string, headers: Record<string, string> = {}) => {
    const response = await call(customer, asking(model), headers)
    const { error } = (await response.json()) as { error?: { code: string } }
    return error?.code ?? response.headers.get('x-keymargin-provider')
  }

  test('as the header insists: every value that the sources name', async () => {
    const named = {
      openai: 'openai',
      anthropic: 'anthropic',
      aws: 'bedrock',
      chutes: 'chutes',
      akash: 'akash',
      nvidia: 'nvidia',
      google: 'google',
      openrouter: 'openrouter',
    } as const
    const customer = await makePayer(...Object.values(named))
    for (const [value, provider] of Object.entries(named)) {
      const model = provider === 'openrouter' ? 'openai/gpt-5-mini' : (catalogues[provider][0]?.id ?? '')
      expect(await providerOfCall(customer, model, { 'x-byok-provider': value })).toBe(provider)
    }
  })

  test.each(['OpenAI', 'openai ', 'chatgpt', '', 'openai,anthropic'])(
    'an unknown value %j is refused',
    async (value) => {
      const customer = await makePayer('openai')
      const expected = value.trim() === 'openai' ? 'openai' : 'unknown_provider' // HTTP itself trims a header's ends
      expect(await providerOfCall(customer, 'gpt-5-mini', { 'x-byok-provider': value })).toBe(expected)
    },
  )

  test('the header never leads to the platform key; a prefix without a key of one’s own does', async () => {
    const openai = await makePayer('openai')
    await db.owner.query(`UPDATE workspaces SET plan_id = 'enterprise' WHERE id = $1`, [openai.workspaceId])
    const keyless = await makeCustomer({ key: null })
    for (const customer of [openai, keyless])
      expect(await providerOfCall(customer, 'openai/gpt-5-mini', { 'x-byok-provider': 'openrouter' })).toBe(
        'no_key_for_provider',
      )
    expect(await providerOfCall(keyless, 'openrouter/openai/gpt-5-mini')).toBe('openrouter')
    const background = { 'x-byok-provider': 'openrouter', 'x-keymargin-surface': 'search_indexer' }
    expect(await providerOfCall(await makeCustomer(), 'openai/gpt-5-mini', background)).toBe('surface_on_platform_key')
  })

  test('who has no key of a provider is sent to save one only where the plan takes it', async () => {
    const customer = await makeCustomer({ key: null })
    const said = async (value: string) => {
      const response = await call(customer, asking('openai/gpt-5-mini'), { 'x-byok-provider': value })
      return ((await response.json()) as { error: { message: string } }).error.message
    }
    expect(await said('openrouter')).toContain('Save one under Settings → Billing')
    expect(await said('anthropic')).toContain("the workspace's plan takes no Anthropic keys")
    expect(await said('mistral')).toContain('must be the id of a provider, in lower case: one of crof, openai,')
  })

  test('CrofAI over OpenRouter until its key is removed, OpenRouter for what it lacks', async () => {
    const customer = await makePayer('openrouter', 'crof')
    expect(await providerOfCall(customer, 'moonshotai/kimi-k2.6')).toBe('crof')
    expect(await providerOfCall(customer, 'anthropic/claude-sonnet-4.6')).toBe('openrouter')
    await db.owner.query(`DELETE FROM provider_keys WHERE workspace_id = $1 AND provider = 'crof'`, [
      customer.workspaceId,
    ])
    await db.owner.query('UPDATE workspaces SET key_epoch = key_epoch + 1 WHERE id = $1', [customer.workspaceId])
    expect(await providerOfCall(customer, 'moonshotai/kimi-k2.6')).toBe('openrouter')
  })

  test('a key that is allowed for other surfaces or models only is as if it were not there', async () => {
    const customer = await makePayer('openai')
    const allow = (column: string, values: string[]) =>
      db.owner
        .query(`UPDATE provider_keys SET ${column} = $2 WHERE workspace_id = $1`, [customer.workspaceId, values])
        .then(() =>
          db.owner.query('UPDATE workspaces SET key_epoch = key_epoch + 1 WHERE id = $1', [customer.workspaceId]),
        )
    await allow('allowed_surfaces', ['document_ocr'])
    expect(await providerOfCall(customer, 'gpt-5-mini')).toBe('key_required')
    expect(await providerOfCall(customer, 'gpt-5-mini', { 'x-keymargin-surface': 'document_ocr' })).toBe('openai')
    await allow('allowed_surfaces', [])
    await allow('allowed_models', ['o3'])
    expect(await providerOfCall(customer, 'gpt-5-mini')).toBe('key_required')
    expect(await providerOfCall(customer, 'o3')).toBe('openai')
  })

  test('a listed model can really be called by its listed id', async () => {
    const customer = await makePayer('openai', 'anthropic', 'groq', 'together', 'openrouter')
    const listed = await fetch(`${gateway.origin}/v1/models`, {
      headers: { authorization: `Bearer ${customer.token}` },
    })
    const { data } = (await listed.json()) as { data: { id: string; provider: ProviderId; key_source: string }[] }
    expect(new Set(data.map((model) => model.provider))).toEqual(
      new Set(['openai', 'anthropic', 'groq', 'together', 'openrouter']),
    )
    for (const { id, provider, key_source } of data) {
      if (/embed|bge|rerank/i.test(id)) continue
      const response = await call(customer, asking(id))
      await response.text()
      expect([
        id,
        response.status,
        response.headers.get('x-keymargin-provider'),
        response.headers.get('x-keymargin-key-source'),
      ]).toEqual([id, 200, provider, key_source])
    }
  })
})

test('the words of an error reach the caller, whatever shape the provider gives them', async () => {
  for (const provider of ['morpheus', 'google', 'anthropic', 'bedrock', 'together'] as const) {
    const customer = await makePayer(provider)
    gateway.providers.fault({ match: { provider }, scenario: { error: 429, retryAfter: '7' } })
    const response = await call(customer, asking(catalogues[provider][0]?.id ?? ''), via(provider))
    const { error } = (await response.json()) as { error: { message: string; code: string } }
    expect([provider, response.status, response.headers.get('retry-after'), error.code]).toEqual([
      provider,
      429,
      '7',
      'provider_rate_limited',
    ])
    expect(error.message).not.toContain('answered with status')
  }
})

describe('at OpenRouter, with a key of one’s own', () => {
  let customer: Customer
  beforeAll(async () => {
    db.configure({ PROVIDER_BASE_URL_OPENROUTER: gateway.providers.baseUrl('openrouter') })
    customer = await makePayer()
    await saveKeyDirectly(customer.owner, sandboxCredential('openrouter'), 'openrouter')
  })

  test('a ranking is metered by its bill', async () => {
    const body = { model: 'cohere/rerank-v3.5', query: 'which?', documents: ['one', 'two', 'three'], top_n: 2 }
    const reply = await call(customer, body, {}, 'rerank')
    expect(((await reply.json()) as { results: unknown[] }).results).toHaveLength(2)
    const row = await lastRow(customer)
    expect(row).toMatchObject({
      endpoint: 'rerank',
      provider: 'openrouter',
      status: 'ok',
      output_tokens: 0,
      charge_pico: 0n,
    })
    expect(row?.cost_source).toBe('provider')

    gateway.providers.fault({ scenario: { usageText: '{"cost":0.002,"search_units":1}' } })
    await call(customer, body, {}, 'rerank')
    expect(await lastRow(customer)).toMatchObject({
      usage_source: 'estimated',
      cost_source: 'provider',
      raw_cost_pico: 2_000_000_000n,
    })
  })

  test('embeddings and responses too', async () => {
    await call(customer, { model: 'openai/text-embedding-3-small', input: 'hello' }, {}, 'embeddings')
    expect(await lastRow(customer)).toMatchObject({ endpoint: 'embeddings', status: 'ok', cost_source: 'provider' })
    const usageText = '{"input_tokens":3,"output_tokens":4,"total_tokens":7,"cost":0.000001,"is_byok":false}'
    gateway.providers.fault({ scenario: { usageText } })
    await (await call(customer, { model: 'openai/gpt-5-mini', input: 'hello', stream: true }, {}, 'responses')).text()
    expect(await lastRow(customer)).toMatchObject({ endpoint: 'responses', status: 'ok', cost_source: 'provider' })
  })
})

test('prices that a provider shows to holders of a key only are read with its models', async () => {
  await makePayer('together')
  const { rows } = await db.owner.query(`SELECT models FROM provider_catalogues WHERE provider = 'together'`)
  expect(rows[0]?.models).toHaveProperty(['moonshotai/Kimi-K2.6', 'input'])
})
