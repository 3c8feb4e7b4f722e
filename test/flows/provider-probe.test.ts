import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Credential } from '#app/domain/providers/credential.ts'
import { hangUp } from '#app/domain/providers/dispatch-call.server.ts'
import { fetchGeneration } from '#app/domain/providers/fetch-generation.server.ts'
import { probeKey } from '#app/domain/providers/probe-key.server.ts'
import { useDatabase } from '#test/database.ts'
import { type OpenRouterSandbox, startOpenRouterSandbox } from '#test/sandbox/openrouter/server.ts'

const db = useDatabase()
let sandbox: OpenRouterSandbox

beforeAll(async () => {
  sandbox = await startOpenRouterSandbox()
})

afterAll(async () => {
  await hangUp()
  await sandbox.close()
})

/** A server on a free port, and its origin. */
async function serve(answer: RequestListener): Promise<{ server: Server; origin: string }> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Points the provider's base URL somewhere else; connections to the former place are dropped. */
async function pointAt(baseUrl: string): Promise<void> {
  await hangUp()
  db.configure({ PROVIDER_BASE_URL_OPENROUTER: baseUrl })
}

const credential = (apiKey: string): Credential => ({ provider: 'openrouter', apiKey, secrets: [apiKey] })
const key = (name: string) => `sk-or-v1-${name}-0123456789abcdef0123456789abcdef`

describe('what the provider says of a key', () => {
  beforeAll(() => pointAt(sandbox.baseUrl))

  test('valid, with what is left of its limit to the digit', async () => {
    expect(await probeKey(credential(key('plain')))).toEqual({
      outcome: 'valid',
      reason: 'accepted',
      balance: { kind: 'no_limit', usd: null },
    })
    sandbox.setKey(key('limited'), { usage: '0.000000000001' })
    expect(await probeKey(credential(key('limited')))).toEqual({
      outcome: 'valid',
      reason: 'accepted',
      balance: { kind: 'key_limit', usd: '9.999999999999' },
    })
  })

  test('refused, and a management key', async () => {
    expect(await probeKey(credential(key('revoked')))).toEqual({ outcome: 'invalid', reason: 'refused' })
    expect(await probeKey(credential(key('mgmt')))).toEqual({ outcome: 'management', reason: 'management_key' })
  })

  test('a provider that cannot be asked does not make a key invalid', async () => {
    expect(await probeKey(credential(key('broken')))).toEqual({ outcome: 'unverified', reason: 'provider_error' })
    expect(await probeKey(credential(key('busy')))).toEqual({ outcome: 'unverified', reason: 'rate_limited' })
    expect(await probeKey(credential(key('slow')), 200)).toEqual({ outcome: 'unverified', reason: 'timeout' })
    for (const status of [400, 403, 404, 418]) {
      sandbox.setKey(key('odd'), { probeStatus: status })
      expect((await probeKey(credential(key('odd')))).outcome).toBe('unverified')
    }
  })

  test('a key that cannot be a header value is unverified, and is nowhere in the answer', async () => {
    const evil = 'sk-or-v1-evil\r\nX-Evil: 1'
    expect(JSON.stringify(await probeKey(credential(evil)))).not.toContain('evil')
  })
})

describe('the way out', () => {
  test('a redirect is not followed: neither key nor question reaches the other host', async () => {
    let reached = 0
    const other = await serve((_request, response) => {
      reached += 1
      response.end('{}')
    })
    const redirecting = await serve((_request, response) => response.writeHead(307, { location: other.origin }).end())
    await pointAt(`${redirecting.origin}/api/v1`)
    expect(await probeKey(credential(key('plain')))).toEqual({ outcome: 'unverified', reason: 'unexpected_reply' })
    expect(reached).toBe(0)
    await hangUp()
    for (const { server } of [other, redirecting]) server.close()
  })

  test('proxies named in the environment are not used', async () => {
    vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:9')
    vi.stubEnv('HTTPS_PROXY', 'http://127.0.0.1:9')
    await pointAt(sandbox.baseUrl)
    expect((await probeKey(credential(key('plain')))).outcome).toBe('valid')
  })

  test('nobody there, an endless answer, and an answer that is no answer', async () => {
    await pointAt('http://127.0.0.1:9/api/v1')
    expect(await probeKey(credential(key('plain')))).toEqual({ outcome: 'unverified', reason: 'unreachable' })
    for (const body of ['<html>', '{}', '{"data":null}', '{"data":[]}', 'x'.repeat(2_000_000)]) {
      const odd = await serve((_request, response) => response.end(body))
      await pointAt(odd.origin)
      expect((await probeKey(credential(key('plain')))).outcome).toBe('unverified')
      await hangUp()
      odd.server.close()
    }
  })
})

describe('the provider’s record of a generation', () => {
  beforeAll(() => pointAt(sandbox.baseUrl))

  test('found for its own account, missing for others, refused for a dead key, unreachable on 5xx', async () => {
    const response = await fetch(`${sandbox.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key('plain')}` },
      body: JSON.stringify({
        model: 'openai/gpt-5-mini',
        messages: [{ role: 'user', content: '[[sandbox input=1000;output=10]]' }],
      }),
    })
    const id = response.headers.get('x-generation-id') ?? ''
    expect(await fetchGeneration('openrouter', credential(key('plain')), id)).toMatchObject({
      kind: 'found',
      report: { costPico: 270_000_000n, tokens: { input: 1000, output: 10 } },
    })
    expect(await fetchGeneration('openrouter', credential(key('other')), id)).toEqual({ kind: 'missing' })
    expect(await fetchGeneration('openrouter', credential(key('revoked')), id)).toEqual({ kind: 'refused' })
    sandbox.settings({ generationStatus: 500 })
    expect(await fetchGeneration('openrouter', credential(key('plain')), id)).toEqual({ kind: 'unreachable' })
    sandbox.settings({ generationStatus: null })
  })

  test('an id that could change the path is never sent', async () => {
    const before = sandbox.journal().length
    for (const id of ['../key', 'a&b=c', 'a b', '', 'x'.repeat(200)])
      expect(await fetchGeneration('openrouter', credential(key('plain')), id)).toEqual({ kind: 'missing' })
    expect(sandbox.journal().length).toBe(before)
  })
})
