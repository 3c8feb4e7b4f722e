import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import OpenAI from 'openai'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { readJournalFile } from './journal.ts'
import { fingerprintOf } from './keys.ts'
import type { Scenario } from './scenario.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from './server.ts'

const key = 'sk-or-v1-0123456789abcdef0123456789abcdef'
const model = 'openai/gpt-5-mini'
const open: OpenRouterSandbox[] = []

async function start(options: Parameters<typeof startOpenRouterSandbox>[0] = {}) {
  const sandbox = await startOpenRouterSandbox(options)
  open.push(sandbox)
  return sandbox
}

afterEach(async () => {
  for (const sandbox of open.splice(0)) await sandbox.close()
})

const client = (sandbox: OpenRouterSandbox, apiKey = key) =>
  new OpenAI({ baseURL: sandbox.baseUrl, apiKey, maxRetries: 0 })

const ask = (content = 'hello') => ({ model, messages: [{ role: 'user' as const, content }] })

const get = (sandbox: OpenRouterSandbox, route: string, apiKey = key) =>
  fetch(`${sandbox.baseUrl}${route}`, { headers: { authorization: `Bearer ${apiKey}` } })

async function until(condition: () => boolean | Promise<boolean>, ms = 180_000): Promise<void> {
  const deadline = Date.now() + ms
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('condition never held')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const tools: OpenAI.Chat.ChatCompletionTool[] = [
  {
    type: 'function',
    function: {
      name: 'weather',
      parameters: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } },
    },
  },
]

describe('a healthy provider', () => {
  test('answers a plain completion whose cost is the exact product of the published prices', async () => {
    const sandbox = await start()
    const response = await client(sandbox)
      .chat.completions.create(ask('[[sandbox input=1234;output=567;cached=200]]'))
      .asResponse()
    const text = await response.text()
    // (1234 - 200) * 0.00000025 + 200 * 0.000000025 + 567 * 0.000002
    expect(text).toContain('"cost":0.0013975,')
    expect(text).toContain('"prompt_tokens":1234,"completion_tokens":567,"total_tokens":1801')
    expect(response.headers.get('x-generation-id')).toMatch(/^gen-/)
    expect(sandbox.chats()).toMatchObject([{ cost: '0.0013975', usage: { input: 1234, output: 567 }, completed: true }])
  })

  test('streams the same words as the plain answer, with usage in the last event before [DONE]', async () => {
    const sandbox = await start()
    const plain = await client(sandbox).chat.completions.create(ask())
    const stream = await client(sandbox).chat.completions.create({ ...ask(), stream: true })
    let text = ''
    let usage: OpenAI.CompletionUsage | null | undefined
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      expect(usage).toBeUndefined()
      usage = chunk.usage ?? undefined
    }
    expect(text).toBe(plain.choices[0]?.message.content)
    expect(usage).toEqual(plain.usage)
  })

  test('calls a tool, plain and in streamed fragments that join to valid JSON, and answers after the result', async () => {
    const sandbox = await start()
    const plain = await client(sandbox).chat.completions.create({ ...ask(), tools })
    const call = plain.choices[0]?.message.tool_calls?.[0]
    expect(plain.choices[0]?.finish_reason).toBe('tool_calls')
    expect(call?.type === 'function' && JSON.parse(call.function.arguments)).toEqual({ city: 'Paris', days: 7 })
    const stream = client(sandbox).chat.completions.stream({ ...ask(), tools })
    const streamed = (await stream.finalChatCompletion()).choices[0]?.message.tool_calls?.[0]
    expect(streamed?.type === 'function' && JSON.parse(streamed.function.arguments)).toEqual({ city: 'Paris', days: 7 })
    const answer = await client(sandbox).chat.completions.create({
      model,
      tools,
      messages: [
        { role: 'user', content: 'hello' },
        { role: 'assistant', tool_calls: plain.choices[0]?.message.tool_calls },
        { role: 'tool', tool_call_id: call?.id ?? '', content: 'sunny' },
      ],
    })
    expect(answer.choices[0]?.finish_reason).toBe('stop')
  })

  test('publishes models with decimal-string prices to anyone', async () => {
    const sandbox = await start()
    const models = await (await fetch(`${sandbox.baseUrl}/models`)).json()
    expect(models.data.length).toBeGreaterThanOrEqual(12)
    for (const row of models.data) expect(row.pricing.prompt).toMatch(/^\d+(\.\d+)?$/)
  })
})

describe('keys', () => {
  test('the text of a key decides its state, and the control API can change it', async () => {
    const sandbox = await start()
    expect((await get(sandbox, '/key')).status).toBe(200)
    expect((await get(sandbox, '/key', 'not-a-key')).status).toBe(401)
    expect((await get(sandbox, '/key', 'sk-or-v1-revoked-key')).status).toBe(401)
    expect(await (await get(sandbox, '/key', 'sk-or-v1-mgmt-key')).json()).toMatchObject({
      data: { is_management_key: true },
    })
    expect((await get(sandbox, '/credits')).status).toBe(403)
    expect((await get(sandbox, '/credits', 'sk-or-v1-mgmt-key')).status).toBe(200)
    sandbox.setKey(key, { live: false })
    await expect(client(sandbox).chat.completions.create(ask())).rejects.toMatchObject({ status: 401 })
  })

  test('a limited key shows what is left of it, to the digit, and then 402s', async () => {
    const sandbox = await start()
    const limited = 'sk-or-v1-limited-key'
    await client(sandbox, limited).chat.completions.create(ask('[[sandbox input=1;output=1]]'))
    expect(await (await get(sandbox, '/key', limited)).text()).toContain('"limit_remaining":9.99999775')
    sandbox.setKey(limited, { limit: '0.000001' })
    await expect(client(sandbox, limited).chat.completions.create(ask())).rejects.toMatchObject({
      status: 402,
      error: { metadata: { limit_source: 'openrouter_key_limit' } },
    })
    await expect(client(sandbox, 'sk-or-v1-empty-key').chat.completions.create(ask())).rejects.toMatchObject({
      status: 402,
    })
  })
})

describe('faults', () => {
  test.each([
    ['401', { error: 401 }, 401],
    ['402', { error: 402 }, 402],
    ['500', { error: 500 }, 500],
    ['502', { error: 502 }, 502],
  ] as [string, Scenario, number][])('%s', async (_name, scenario, status) => {
    const sandbox = await start()
    sandbox.fault({ scenario })
    await expect(client(sandbox).chat.completions.create(ask())).rejects.toMatchObject({ status })
    await expect(client(sandbox).chat.completions.create(ask())).resolves.toMatchObject({ object: 'chat.completion' })
  })

  test('429 carries Retry-After; a careless 401 carries the key', async () => {
    const sandbox = await start()
    const limited = await client(sandbox)
      .chat.completions.create(ask('[[sandbox error=429;retryAfter=2]]'))
      .catch((error) => error)
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '2'])
    const refused = await client(sandbox)
      .chat.completions.create(ask('[[sandbox error=401;echoKey]]'))
      .catch((error) => error)
    expect(refused.message).toContain(key)
  })

  test('an error in the middle of a stream comes with HTTP 200, and what was said is billed', async () => {
    const sandbox = await start()
    const stream = await client(sandbox).chat.completions.create({
      ...ask('[[sandbox midStreamError=3;output=24]]'),
      stream: true,
    })
    await expect(async () => {
      for await (const _ of stream);
    }).rejects.toMatchObject({ error: { code: 502 } })
    await sandbox.settled()
    expect(sandbox.chats()).toMatchObject([{ completed: false, usage: { output: 3 } }])
  })

  test('a cut socket is an error to the client, and the generation is on record', async () => {
    const sandbox = await start()
    const stream = await client(sandbox).chat.completions.create({ ...ask('[[sandbox cut=2]]'), stream: true })
    await expect(async () => {
      for await (const _ of stream);
    }).rejects.toThrow()
    await sandbox.settled()
    const [line] = sandbox.chats()
    expect(line).toMatchObject({ completed: true, clientAborted: false })
    expect((await get(sandbox, `/generation?id=${line?.generation}`)).status).toBe(200)
  })

  test.each([
    ['crlf', { eol: 'crlf' }],
    ['mixed line ends', { eol: 'mixed' }],
    ['characters in two pieces', { splitUtf8: true }],
    ['no [DONE]', { done: 'none' }],
    ['no usage', { usage: 'none' }],
    ['usage on the finish chunk', { usageOnFinish: true }],
  ] as [string, Scenario][])('a client still reads a stream with %s', async (_name, scenario) => {
    const sandbox = await start()
    const plain = await client(sandbox).chat.completions.create(ask())
    sandbox.fault({ scenario })
    const whole = await client(sandbox).chat.completions.stream(ask()).finalChatCompletion()
    expect(whole.choices[0]?.message.content).toBe(plain.choices[0]?.message.content)
  })

  test('errors in a 200 body, redirects, absurd costs and raw replies go out as laid out', async () => {
    const sandbox = await start()
    const post = () =>
      fetch(`${sandbox.baseUrl}/chat/completions`, {
        method: 'POST',
        redirect: 'manual',
        headers: { authorization: `Bearer ${key}` },
        body: JSON.stringify(ask()),
      })
    sandbox.fault({ scenario: { errorIn200: true } })
    expect(await (await post()).json()).toMatchObject({ error: { code: 502 } })
    sandbox.fault({ scenario: { redirect: 'http://127.0.0.1:9/' } })
    expect((await post()).status).toBe(307)
    sandbox.fault({ scenario: { cost: '1e309' } })
    expect(await (await post()).text()).toContain('"cost":1e309,')
    sandbox.fault({
      scenario: { raw: { status: 200, headers: [['content-type', 'text/html']], pieces: ['<p>', 'base64:4pWQ'] } },
    })
    expect(await (await post()).text()).toBe('<p>═')
  })
})

describe('a client that leaves', () => {
  async function leave(sandbox: OpenRouterSandbox) {
    const stream = await client(sandbox).chat.completions.create({
      ...ask('[[sandbox output=20;gapMs=5]]'),
      stream: true,
    })
    for await (const _ of stream) break
    await until(() => sandbox.chats()[0]?.event === 'ended')
    return sandbox.chats()[0]
  }

  test('is billed in full where the provider cannot cancel', async () => {
    const sandbox = await start()
    const line = await leave(sandbox)
    expect(line).toMatchObject({ clientAborted: true, completed: true, usage: { output: 20 } })
    expect(await (await get(sandbox, `/generation?id=${line?.generation}`)).json()).toMatchObject({
      data: { cancelled: false },
    })
  })

  test('is billed for the part where it can', async () => {
    const sandbox = await start()
    sandbox.settings({ cancelStopsBilling: true })
    const line = await leave(sandbox)
    expect(line).toMatchObject({ clientAborted: true, completed: false })
    expect(line?.usage?.output).toBeLessThan(20)
    expect(await (await get(sandbox, `/generation?id=${line?.generation}`)).json()).toMatchObject({
      data: { cancelled: true },
    })
  })
})

describe('beside chat', () => {
  const recorded = async (sandbox: OpenRouterSandbox) => {
    await sandbox.settled()
    const line = sandbox.journal().at(-1)
    return { line, record: await (await get(sandbox, `/generation?id=${line?.generation}`)).text() }
  }

  test('a response is billed as a chat of its tokens is, plain and streamed, and stands in the records', async () => {
    const sandbox = await start()
    const input = '[[sandbox input=1000;output=100]]'
    const plain = await client(sandbox).responses.create({ model, input })
    // 1000 * 0.00000025 + 100 * 0.000002
    expect(plain).toMatchObject({
      status: 'completed',
      usage: { input_tokens: 1000, output_tokens: 100, cost: 0.00045 },
    })
    expect((await recorded(sandbox)).record).toContain('"total_cost":0.00045,')
    let text = ''
    let usage: unknown
    for await (const event of await client(sandbox).responses.create({ model, input, stream: true })) {
      if (event.type === 'response.output_text.delta') text += event.delta
      if (event.type === 'response.completed') usage = event.response.usage
    }
    expect([text, usage]).toEqual([plain.output_text, plain.usage])
    expect((await recorded(sandbox)).line).toMatchObject({ cost: '0.00045', completed: true })
  })

  test('embeddings cost their input, and only models made for them are sold there', async () => {
    const sandbox = await start()
    const embed = (name: string) => client(sandbox).embeddings.create({ model: name, input: ['abcd', 'efgh'] })
    const { data, usage } = await embed('openai/text-embedding-3-small')
    expect([data.length, usage]).toMatchObject([2, { prompt_tokens: 2, cost: 0.00000004 }])
    expect((await recorded(sandbox)).line?.cost).toBe('0.00000004')
    await expect(embed(model)).rejects.toMatchObject({ status: 400 })
    const chat = { ...ask(), model: 'openai/text-embedding-3-small' }
    await expect(client(sandbox).chat.completions.create(chat)).rejects.toMatchObject({ status: 400 })
  })
})

describe('ground truth', () => {
  test('the generation record appears after its delay, to its own account only, with the same cost', async () => {
    const sandbox = await start()
    sandbox.settings({ generationDelayMs: 60 })
    await client(sandbox).chat.completions.create(ask())
    const [line] = sandbox.chats()
    const route = `/generation?id=${line?.generation}`
    expect((await get(sandbox, route)).status).toBe(404)
    await until(async () => (await get(sandbox, route)).status === 200)
    expect(await (await get(sandbox, route)).text()).toContain(`"total_cost":${line?.cost},`)
    expect((await get(sandbox, route, 'sk-or-v1-somebody-else')).status).toBe(404)
  })

  test('journal and state survive a restart, and no file holds a key', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'sandbox-openrouter-'))
    const files = { journalFile: path.join(folder, 'journal.jsonl'), stateFile: path.join(folder, 'state.json') }
    const first = await start(files)
    await client(first).chat.completions.create({ ...ask() }, { headers: { 'x-sandbox': 'input=5' } })
    await client(first)
      .chat.completions.create(ask('[[sandbox error=401;echoKey]]'))
      .catch(() => null)
    await first.close()
    const second = await start(files)
    const [line] = readJournalFile(files.journalFile)
    expect(line).toMatchObject({
      key: fingerprintOf(key),
      model,
      headers: { 'x-sandbox': 'input=5' },
      usage: { input: 5 },
    })
    expect((await get(second, `/generation?id=${line?.generation}`)).status).toBe(200)
    for (const file of Object.values(files)) expect(await readFile(file, 'utf8')).not.toContain(key.slice(9))
  })

  test('it refuses to run in production', async () => {
    vi.stubEnv('NODE_ENV', 'production')
    await expect(startOpenRouterSandbox()).rejects.toThrow('never runs')
    vi.unstubAllEnvs()
  })
})
