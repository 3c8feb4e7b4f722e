/** Every kind of credential, saved as a person saves it, against providers that answer in their own ways. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { compatible } from '#app/domain/providers/compatible.ts'
import { hangUp } from '#app/domain/providers/dispatch-call.server.ts'
import { probeKey } from '#app/domain/providers/probe-key.server.ts'
import { type ProviderId, providerIds } from '#app/domain/providers/provider.ts'
import { addProvider, allProviders, providerNamed, providerOf } from '#app/domain/providers/registry.ts'
import { openProviderKey } from '#app/domain/vault/open-provider-key.server.ts'
import { listProviderKeys } from '#app/domain/vault/queries.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { dropSingleton } from '#app/platform/singleton.server.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'
import { sandboxCredential } from '#test/sandbox/providers/credentials.ts'
import { fingerprintOf } from '#test/sandbox/providers/keys.ts'
import { type ProvidersSandbox, startProvidersSandbox } from '#test/sandbox/providers/server.ts'

const db = useDatabase()
let sandbox: ProvidersSandbox

beforeAll(async () => {
  sandbox = await startProvidersSandbox()
  db.configure(sandbox.settings())
  await db.owner.query("UPDATE plans SET allowed_providers = '{*}' WHERE id = 'enterprise'")
})
beforeEach(() => void dropSingleton('list-is-open'))
afterAll(async () => {
  await hangUp()
  await sandbox.close()
})

/** What each way of standing at the provider makes of a save. A code: refused with it. */
type Expected = Partial<Record<string, [verification: string, reason: string] | string>>

interface Row {
  id: ProviderId
  /** What is asked of the provider for a live key: paths below its base URL, in order. */
  asks: string[]
  states: Expected
}

const usual: Expected = {
  live: ['valid', 'accepted'],
  revoked: 'key_rejected',
  busy: ['unverified', 'rate_limited'],
  broken: ['unverified', 'provider_error'],
}
const chat = '/chat/completions'

/** One entry per provider (providers, table 2.1). */
const table: Row[] = [
  { id: 'crof', asks: ['/hosts/crof.ai/usage_api/'], states: { ...usual, empty: ['valid', 'no_credit'] } },
  { id: 'openai', asks: ['/models'], states: { ...usual, restricted: ['restricted', 'missing_scopes'] } },
  { id: 'openai-responses', asks: ['/models'], states: { ...usual, restricted: ['restricted', 'missing_scopes'] } },
  { id: 'anthropic', asks: ['/models?limit=1000'], states: { ...usual, restricted: ['restricted', 'missing_scopes'] } },
  {
    id: 'google',
    asks: ['/hosts/generativelanguage.googleapis.com/v1beta/models?pageSize=1'],
    states: { ...usual, disabled: ['restricted', 'service_disabled'] },
  },
  { id: 'xai', asks: ['/api-key'], states: { ...usual, blocked: 'key_rejected' } },
  { id: 'deepseek', asks: ['/user/balance'], states: { ...usual, empty: ['valid', 'no_credit'] } },
  {
    id: 'bedrock',
    asks: ['/hosts/sts.us-east-1.amazonaws.com/'],
    states: {
      live: ['valid', 'accepted'],
      temporary: ['valid', 'accepted'],
      revoked: 'key_rejected',
      expired: 'key_rejected',
      restricted: ['restricted', 'missing_scopes'],
      busy: ['unverified', 'rate_limited'],
    },
  },
  {
    id: 'azure',
    asks: [
      '/openai/models?api-version=2024-10-21',
      '/openai/deployments/prod-gpt5/chat/completions?api-version=2024-10-21',
    ],
    states: { ...usual, firewalled: ['restricted', 'network_rules'] },
  },
  {
    id: 'azure-responses',
    asks: ['/openai/models?api-version=2024-10-21'],
    states: { ...usual, firewalled: ['restricted', 'network_rules'] },
  },
  { id: 'groq', asks: ['/models'], states: { ...usual, restricted: ['restricted', 'missing_scopes'] } },
  { id: 'fireworks', asks: ['/models'], states: usual },
  { id: 'together', asks: ['/models'], states: usual },
  // the first model of its list is gone: the next one decides
  { id: 'sambanova', asks: ['/models', chat], states: { ...usual, empty: ['valid', 'no_credit'] } },
  { id: 'vercel', asks: ['/credits'], states: { ...usual, empty: ['valid', 'no_credit'] } },
  {
    id: 'novita',
    asks: ['/hosts/api.novita.ai/openapi/v1/billing/balance/detail'],
    states: { ...usual, restricted: ['valid', 'accepted'], empty: ['valid', 'no_credit'] },
  },
  {
    id: 'chutes',
    asks: ['/hosts/api.chutes.ai/users/me'],
    states: { ...usual, restricted: ['valid', 'accepted'], empty: ['valid', 'no_credit'] },
  },
  { id: 'akash', asks: ['/models', '/models'], states: usual },
  { id: 'nvidia', asks: ['/hosts/api.ngc.nvidia.com/v3/keys/get-caller-info'], states: usual },
  { id: 'hyperbolic', asks: ['/models', '/models', chat], states: usual },
  { id: 'morpheus', asks: ['/models', '/models'], states: usual },
]

const billingAdmin = async () => makeMember((await makeWorkspace()).id, 'billing_admin')

describe.each(table)('$id', ({ id, asks, states }) => {
  it.each(Object.entries(states))('%s', async (word, expected) => {
    const ctx = await billingAdmin()
    const before = sandbox.journal().length
    const credential = sandboxCredential(id, word)
    const saved = await saveProviderKey(ctx, { provider: id, credential }).catch((error) => error)
    const asked = sandbox.journal().slice(before)
    if (typeof expected === 'string') {
      expect(saved).toMatchObject({ code: expected, field: expect.stringMatching(/^(key|credential)/) })
      expect(saved.message).toMatch(/The key was not saved\./)
      expect(await listProviderKeys(ctx)).toEqual([])
    } else {
      expect(saved).toMatchObject({ outcome: 'saved', verification: expected?.[0], reason: expected?.[1] })
      expect(saved.reasonText.startsWith(providerOf(id).name)).toBe(true)
      const [key] = await listProviderKeys(ctx)
      const opened = await openProviderKey({ workspaceId: ctx.workspaceId, keyId: saved.keyId, keyVersion: 1 })
      expect(key).toMatchObject({ provider: id, verification: expected?.[0], hint: saved.hint, version: 1 })
      for (const secret of opened.secrets) {
        expect(JSON.stringify([saved, key])).not.toContain(secret)
        expect(secret.length).toBeGreaterThan(19)
      }
    }
    if (word === 'live') expect(asked.map((line) => line.path).slice(0, asks.length)).toEqual(asks)
    for (const line of asked.filter((one) => one.auth !== null && one.auth !== 'sigv4 refused'))
      expect(line.key).toMatch(/^[0-9a-f]{64}$/)
  })

  it('a key that nobody issued is refused', async () => {
    const ctx = await billingAdmin()
    const madeUp = sandboxCredential(id).replaceAll(/sbx/gi, (mark) => (mark === 'SBX' ? 'QQQ' : 'qqq'))
    await expect(saveProviderKey(ctx, { provider: id, credential: madeUp })).rejects.toMatchObject({
      code: 'key_rejected',
    })
  })
})

it('the table covers every provider but OpenRouter, which has a sandbox and a table of its own', () => {
  expect(new Set(table.map((row) => row.id))).toEqual(new Set(providerIds.filter((id) => id !== 'openrouter')))
  expect(allProviders().map((row) => row.id)).toEqual([...providerIds])
})

it('a slow provider makes a key unverified, not invalid', async () => {
  const { credential } = { credential: sandboxCredential('groq', 'slow') }
  expect(await probeKey({ provider: 'groq', apiKey: credential, secrets: [credential] }, 200)).toEqual({
    outcome: 'unverified',
    reason: 'timeout',
  })
})

describe('Azure names the field that is wrong', () => {
  it.each([
    [{ deploymentName: 'nobody-made-this' }, 'credential.deploymentName', /deploymentName/],
    [{ endpoint: 'https://169.254.169.254' }, 'credential.endpoint', /Azure resource/],
    [{ apiVersion: 'latest' }, 'credential.apiVersion', /apiVersion/],
  ])('%o', async (change, field, text) => {
    const ctx = await billingAdmin()
    const credential = sandboxCredential('azure', 'live', change)
    const refused = await saveProviderKey(ctx, { provider: 'azure', credential }).catch((error) => error)
    expect(refused).toMatchObject({ kind: 'bad_request', field })
    expect(refused.message).toMatch(text)
    expect(await listProviderKeys(ctx)).toEqual([])
  })

  it('a version that documents show and Azure does not know is saved, with advice twice', async () => {
    const ctx = await billingAdmin()
    const credential = sandboxCredential('azure', 'live', { apiVersion: '2024-10-21-preview' })
    const saved = await saveProviderKey(ctx, { provider: 'azure', credential })
    expect(saved).toMatchObject({ verification: 'unverified', reason: 'wrong_api_version' })
    expect(saved.warning).toMatch(/no 2024-10-21-preview/)
    expect(saved.reasonText).toMatch(/does not know this API version/)
  })

  it('the fields of a form do as well as JSON', async () => {
    const ctx = await billingAdmin()
    const credential = JSON.parse(sandboxCredential('azure'))
    expect(await saveProviderKey(ctx, { provider: 'azure', credential })).toMatchObject({
      verification: 'valid',
      hint: `…${credential.apiKey.slice(-4)} sandbox-resource`,
    })
  })
})

it('a provider that sells no fewer than sixteen tokens is asked for sixteen', async () => {
  const text = '{"error":{"message":"max_tokens must be at least 16"}}'
  sandbox.fault({ match: { model: 'DeepSeek-V4-Flash' }, scenario: { raw: { status: 400, pieces: [text] } } })
  const apiKey = sandboxCredential('sambanova', 'live')
  expect(await probeKey({ provider: 'sambanova', apiKey, secrets: [apiKey] })).toMatchObject({ outcome: 'valid' })
  expect(JSON.parse(sandbox.calls('sambanova').at(-1)?.body ?? '{}')).toMatchObject({ max_tokens: 16 })
})

it.each([
  [429, '{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}'],
  [403, '{"reason":"NOT_ENOUGH_BALANCE","message":"not enough balance"}'],
])('an account without credit that says so with %i has a key that works', async (status, text) => {
  sandbox.fault({ match: { model: 'DeepSeek-V4-Flash' }, scenario: { raw: { status, pieces: [text] } } })
  const apiKey = sandboxCredential('sambanova', 'live')
  const probe = await probeKey({ provider: 'sambanova', apiKey, secrets: [apiKey] })
  expect(probe).toMatchObject({ outcome: 'valid', reason: 'no_credit' })
})

describe('the three whose lists are of unknown openness', () => {
  it('are asked with a made-up key first, once a day, and never with the made-up key after that', async () => {
    const made = new Set<string | null>()
    for (const word of ['live', 'revoked']) {
      const before = sandbox.journal().length
      await probeKey({ provider: 'akash', apiKey: sandboxCredential('akash', word), secrets: [] })
      const asked = sandbox.journal().slice(before)
      expect(asked).toHaveLength(word === 'live' ? 2 : 1)
      made.add(asked[0]?.key ?? null)
    }
    expect(made).not.toContain(fingerprintOf(sandboxCredential('akash')))
  })

  it('a list that opens to everybody proves nothing any more', async () => {
    sandbox.openList('akash', true)
    const apiKey = sandboxCredential('akash', 'revoked')
    expect(await probeKey({ provider: 'akash', apiKey, secrets: [apiKey] })).toEqual({
      outcome: 'invalid',
      reason: 'refused',
      field: undefined,
    })
    sandbox.openList('akash', false)
  })
})

it('adding an OpenAI-compatible provider is one row', async () => {
  const id = 'hyperbolic-two' as ProviderId
  addProvider(compatible({ id, name: 'Hyperbolic Two', baseUrl: 'https://api.example.com/v1', aliases: ['hyper2'] }))
  db.configure({ PROVIDER_BASE_URL_HYPERBOLIC_TWO: sandbox.baseUrl('morpheus') })
  expect(providerNamed('hyper2')).toBe(id)
  const apiKey = sandboxCredential('morpheus')
  expect(await probeKey({ provider: id, apiKey, secrets: [apiKey] })).toEqual({ outcome: 'valid', reason: 'accepted' })
})
