import tls from 'node:tls'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Credential } from '#app/domain/providers/credential.ts'
import { dispatchCall, hangUp } from '#app/domain/providers/dispatch-call.server.ts'
import { failureOf } from '#app/domain/providers/egress-failure.ts'
import { guardedConnector } from '#app/domain/providers/internal/guarded-connect.server.ts'
import { parseCredential } from '#app/domain/providers/parse-credential.ts'
import { probeKey } from '#app/domain/providers/probe-key.server.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import { useDatabase } from '#test/database.ts'
import { closeGround, divertTo, httpServer, resolveTo, trustedServer } from '#test/egress-ground.ts'
import { sandboxAccessKeyId, sandboxAwsSecret } from '#test/sandbox/providers/keys.ts'

const db = useDatabase({ KEYMARGIN_SANDBOX: '0' })
afterEach(async () => {
  vi.restoreAllMocks()
  await hangUp()
  for (const id of ['OPENAI', 'AZURE', 'ANTHROPIC', 'GROQ']) db.configure({ [`PROVIDER_BASE_URL_${id}`]: '' })
  closeGround()
})

const secret = 'gsk_the-key-that-must-not-leave-0123456789'
const prompt = 'the prompt that must not leave either'
const keyOf = (provider: ProviderId): Credential => ({ provider, apiKey: secret, secrets: [secret] })
const azureAt = (host: string) =>
  parseCredential(
    'azure',
    JSON.stringify({ endpoint: `https://${host}`, apiKey: secret, deploymentName: 'd', apiVersion: '2024-10-21' }),
  )

interface Outcome {
  status: number | null
  text: string
  error: (Error & { code?: string }) | null
}

/** One call, to its end. */
function call(provider: ProviderId, credential: Credential, model = 'm'): Promise<Outcome> {
  const outcome: Outcome = { status: null, text: '', error: null }
  const body = Buffer.from(JSON.stringify({ model, messages: [{ role: 'user', content: prompt }] }))
  const patience = { headersMs: 5_000, idleMs: 5_000 }
  return new Promise((resolve) =>
    dispatchCall(
      provider,
      { id: 'call-1', endpoint: 'chat', model, body, credential, streamed: false, patience },
      {
        onRequestStart() {},
        onResponseStart: (_controller, status) => void (outcome.status = status),
        onResponseData: (_controller, piece) => void (outcome.text += piece.toString()),
        onResponseEnd: () => resolve(outcome),
        onResponseError: (_controller, error) => resolve({ ...outcome, error }),
      },
    ),
  )
}

describe('a provider’s name that resolves to', () => {
  it.each<[string, string[]]>([
    ['a private network (case 86)', ['10.1.2.3']],
    ['a public and a private address (case 87)', ['104.18.2.115', '192.168.1.10']],
    ['a private and a public address (case 87)', ['172.16.0.1', '104.18.2.115']],
    ['this machine', ['127.0.0.1']],
    ['a metadata service', ['169.254.169.254']],
    ['this machine over IPv6', ['::1']],
    ['a private network over IPv6', ['fd00::1']],
    ['IPv4 inside of IPv6', ['::ffff:10.0.0.1']],
    ['a translated address', ['64:ff9b::a00:1']],
    ['a public and a link-local address', ['2606:4700::6812:273', 'fe80::1']],
    ['nothing at all', []],
  ])('%s is not connected to', async (_what, addresses) => {
    resolveTo(...addresses)
    const connections = vi.spyOn(tls, 'connect')
    for (const [provider, credential] of [
      ['groq', keyOf('groq')],
      ['azure', azureAt('x.openai.azure.com')],
    ] as const) {
      const { error } = await call(provider, credential)
      expect(error).toMatchObject({ code: 'EGRESS_REFUSED' })
      expect(failureOf(error)).toBe('address_refused')
      expect(JSON.stringify(error) + error?.message).not.toContain(secret)
    }
    expect(connections.mock.results.every((result) => (result.value as tls.TLSSocket).bytesWritten === 0)).toBe(true)
    expect(await probeKey(keyOf('groq'))).toEqual({ outcome: 'unverified', reason: 'unreachable' })
  })
})

it('connects to the very addresses that were checked, under the provider’s name', async () => {
  const { port, arrived } = await trustedServer('api.groq.com')
  const resolver = resolveTo('104.18.2.115', '2606:4700::6812:273')
  const { lookups } = divertTo(port, '104.18.2.115')
  expect(await call('groq', keyOf('groq'))).toMatchObject({ status: 200, text: '{}' })
  expect(arrived.requests).toMatchObject([
    { host: 'api.groq.com', sni: 'api.groq.com', authorization: `Bearer ${secret}` },
  ])
  const offered = await new Promise((resolve) =>
    lookups[0]?.('api.groq.com', { all: true }, (_error, found) => resolve(found)),
  )
  expect(offered).toEqual([
    { address: '104.18.2.115', family: 4 },
    { address: '2606:4700::6812:273', family: 6 },
  ])
  expect(resolver.mock.calls.every(([host]) => host === 'api.groq.com')).toBe(true)
})

it('case 88, rebinding: a connection that ends up here all the same is cut before a byte of the call', async () => {
  const { port, arrived } = await trustedServer('api.groq.com')
  resolveTo('104.18.2.115')
  divertTo(port)
  const { error, status } = await call('groq', keyOf('groq'))
  expect(error).toMatchObject({ code: 'EGRESS_REFUSED' })
  expect(status).toBeNull()
  expect(arrived).toEqual({ connections: 1, requests: [] })
})

it('an address in place of a name never gets as far as a connection', async () => {
  const connections = vi.spyOn(tls, 'connect')
  for (const hostname of ['127.0.0.1', '[::1]', '169.254.169.254', '8.8.8.8']) {
    const refused = await new Promise((resolve) =>
      guardedConnector()({ hostname, host: hostname, protocol: 'https:', port: '443' }, (...[error]) => resolve(error)),
    )
    expect(refused).toMatchObject({ code: 'EGRESS_REFUSED' })
  }
  expect(connections).not.toHaveBeenCalled()
})

describe('case 162, a certificate that is wrong', () => {
  it.each([
    ['nobody trusts it', 'localhost', false],
    ['it is of another host', 'other.example.com', true],
  ])('%s: nothing is sent, and the outcome says so', async (_what, host, trust) => {
    const { port, arrived } = await trustedServer(host, trust)
    db.configure({ PROVIDER_BASE_URL_GROQ: `https://localhost:${port}` })
    const { error } = await call('groq', keyOf('groq'))
    expect(failureOf(error)).toBe('certificate')
    expect(arrived.requests).toEqual([])
    expect(await probeKey(keyOf('groq'))).toEqual({ outcome: 'unverified', reason: 'unreachable' })
  })
})

describe('what a reply can do', () => {
  it.each(['openai', 'azure', 'anthropic'] as const)(
    'case 89, %s answers 307: no key and no prompt go on',
    async (id) => {
      let reached = 0
      const other = await httpServer((_request, response) => {
        reached += 1
        response.end('{}')
      })
      const origin = await httpServer((_request, response) => response.writeHead(307, { location: `${other}/x` }).end())
      db.configure({ [`PROVIDER_BASE_URL_${id.toUpperCase()}`]: origin })
      const credential = id === 'azure' ? azureAt('x.openai.azure.com') : keyOf(id)
      expect(await call(id, credential)).toMatchObject({ status: 307, error: null })
      expect((await probeKey(credential)).outcome).toBe('unverified')
      expect(reached).toBe(0)
    },
  )

  it.each<[string, (index: number) => [string, string][]]>([
    ['10,000 headers', () => Array.from({ length: 10_000 }, (_, n) => [`x-${n}`, '1'])],
    ['a header of 1 MB', () => [['x-big', 'x'.repeat(1_000_000)]]],
  ])('case 155, %s end the call', async (_what, headers) => {
    const origin = await httpServer((_request, response) => {
      response.socket?.write(
        `HTTP/1.1 200 OK\r\n${headers(0)
          .map(([name, value]) => `${name}: ${value}`)
          .join('\r\n')}\r\ncontent-length: 2\r\n\r\n{}`,
      )
    })
    db.configure({ PROVIDER_BASE_URL_GROQ: origin })
    const { error } = await call('groq', keyOf('groq'))
    expect(failureOf(error)).toBe('headers_too_large')
  })

  it('proxies named in the environment are not used', async () => {
    for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy'])
      vi.stubEnv(name, 'http://127.0.0.1:9')
    const origin = await httpServer((_request, response) => response.end('{}'))
    db.configure({ PROVIDER_BASE_URL_GROQ: origin })
    expect(await call('groq', keyOf('groq'))).toMatchObject({ status: 200 })
    vi.unstubAllEnvs()
  })
})

describe('hosts of credentials', () => {
  it('are each connected to apart, and only so many are kept', async () => {
    resolveTo('10.0.0.1')
    for (let nth = 0; nth < 300; nth++) await call('azure', azureAt(`r-${nth}.openai.azure.com`))
    const kept = singleton('egress', () => new Map<string, unknown>())
    expect(kept.size).toBeLessThanOrEqual(257)
    expect(kept.has('https://r-299.openai.azure.com')).toBe(true)
    expect(kept.has('https://r-0.openai.azure.com')).toBe(false)
  })

  it('a region leads to that region’s hosts, under a signature for them', async () => {
    const { port, arrived } = await trustedServer('bedrock-runtime.eu-west-1.amazonaws.com')
    resolveTo('104.18.2.115')
    divertTo(port, '104.18.2.115')
    const accessKeyId = sandboxAccessKeyId()
    const fields = { accessKeyId, secretAccessKey: sandboxAwsSecret(accessKeyId), region: 'eu-west-1' }
    const credential = parseCredential('bedrock', JSON.stringify(fields))
    expect(await call('bedrock', credential, 'us.anthropic.claude-v1:0')).toMatchObject({ status: 200 })
    expect(arrived.requests[0]?.host).toBe('bedrock-runtime.eu-west-1.amazonaws.com')
    expect(arrived.requests[0]?.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIA\w+\/\d+\/eu-west-1\/bedrock\//,
    )
    expect(arrived.requests[0]?.authorization).not.toContain(fields.secretAccessKey)
  })

  it('a sandbox reaches no real provider, whatever it forgets to replace', async () => {
    db.configure({ KEYMARGIN_SANDBOX: '1' })
    const { error } = await call('openai', keyOf('openai'))
    db.configure({ KEYMARGIN_SANDBOX: '0' })
    expect(error).toMatchObject({ message: expect.stringContaining('sandbox') })
  })

  it('a call that cannot be signed ends as an error that the handler hears', async () => {
    expect((await call('bedrock', keyOf('bedrock'))).error).toMatchObject({ message: expect.stringContaining('AWS') })
  })
})
