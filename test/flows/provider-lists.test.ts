/** What providers tell under a key: their models, with prices, and what is left to spend. */
import { beforeEach, describe, expect, it } from 'vitest'
import { fetchCatalogue, listKeyModels } from '#app/domain/providers/list-models.server.ts'
import { parseCredential } from '#app/domain/providers/parse-credential.ts'
import { type ProviderId, providerIds } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { forgetKeyHealth } from '#app/domain/vault/note-key-health.server.ts'
import { openProviderKey } from '#app/domain/vault/open-provider-key.server.ts'
import { pollKeyBalance } from '#app/domain/vault/poll-key-balance.server.ts'
import { listProviderKeys } from '#app/domain/vault/queries.server.ts'
import { refreshKeyModels } from '#app/domain/vault/refresh-key-models.server.ts'
import { removeProviderKey } from '#app/domain/vault/remove-provider-key.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember, makeWorkspace } from '#test/factories.ts'
import { useProviderSandboxes } from '#test/provider-sandboxes.ts'
import { catalogues } from '#test/sandbox/providers/catalogue.ts'
import { sandboxCredential } from '#test/sandbox/providers/credentials.ts'
import { sandboxKey } from '#test/sandbox/providers/keys.ts'

const db = useDatabase()
const sandboxes = useProviderSandboxes(db)

beforeEach(() => void forgetKeyHealth())

const owner = async () => makeMember((await makeWorkspace()).id, 'owner')
const save = (ctx: Awaited<ReturnType<typeof owner>>, provider: ProviderId, seed: string, more = {}) =>
  saveProviderKey(ctx, { provider, credential: sandboxKey(provider, 'live', seed), ...more })
const at = new Date('2026-11-21T10:00:00Z')

describe.each(providerIds)('models of %s', (id) => {
  const credential = () =>
    parseCredential(id, id === 'openrouter' ? `sk-or-v1-${'ab'.repeat(32)}` : sandboxCredential(id))

  it('are listed under its own ids, with exact prices where it lists them', async () => {
    const listing = await listKeyModels(credential())
    if ('failure' in listing) throw new Error(listing.failure)
    const ids = listing.models.map((model) => model.id)
    if (id === 'azure') return expect(ids).toEqual(['prod-gpt5'])
    if (id === 'azure-responses') return expect(ids).toEqual([])
    if (id === 'openrouter') {
      const kimi = listing.models.find((model) => model.id === 'moonshotai/kimi-k2.6')
      expect(kimi).toEqual({
        id: 'moonshotai/kimi-k2.6',
        contextLength: 262144,
        maxOutputTokens: 65_536,
        prices: { input: '0.00000095', output: '0.000004', cacheRead: '0.00000016' },
      })
      return
    }
    expect(ids.sort()).toEqual(catalogues[id].map((sold) => sold.id).sort())
    for (const sold of catalogues[id]) {
      const { prices } = listing.models.find((model) => model.id === sold.id) ?? {}
      if (providerOf(id).models.prices === null) expect(prices).toBeUndefined()
      else expect(prices).toMatchObject({ input: sold.input, output: sold.output })
    }
  })

  it('are shown to everybody, with prices, exactly where the provider does that', async () => {
    const shown = await fetchCatalogue(id)
    const { public: open, prices } = providerOf(id).models
    expect(shown !== null).toBe(open && prices !== null)
    for (const model of shown ?? []) expect(model.prices?.input).toMatch(/^\d+(?:\.\d+)?$/)
  })
})

describe('models of a key', () => {
  it('are stored, asked for again by a job after each save, and gone with the key', async () => {
    const ctx = await owner()
    const { keyId } = await save(ctx, 'together', 'a')
    const { rows } = await db.owner.query('SELECT key FROM graphile_worker.jobs WHERE key = $1', [`models:${keyId}`])
    expect(rows).toHaveLength(1)
    expect(await refreshKeyModels(ctx.workspaceId, keyId, at)).toBe(catalogues.together.length)
    expect((await listProviderKeys(ctx))[0]?.modelCount).toBe(catalogues.together.length)
    await save(ctx, 'together', 'b', { keyId })
    expect((await listProviderKeys(ctx))[0]?.modelCount).toBeNull()
    await removeProviderKey(ctx, { keyId })
    expect(await refreshKeyModels(ctx.workspaceId, keyId, at)).toBe('gone')
  })

  it('are kept where the provider cannot be asked, and the job tries again', async () => {
    const ctx = await owner()
    const { keyId } = await save(ctx, 'together', 'c')
    await refreshKeyModels(ctx.workspaceId, keyId, at)
    sandboxes.providers.setKey(sandboxKey('together', 'live', 'c'), { status: 503 })
    await expect(refreshKeyModels(ctx.workspaceId, keyId, at)).rejects.toMatchObject({ code: 'provider_unreachable' })
    expect((await listProviderKeys(ctx))[0]?.modelCount).toBe(catalogues.together.length)
  })
})

describe('balances', () => {
  it.each<[ProviderId, string]>([
    ['crof', '12.5'],
    ['chutes', '12.5'],
    ['vercel', '12.5'],
    ['novita', '12.5'],
    ['deepseek', '12.5'],
  ])('%s tells its account’s: at the save, and when it is polled', async (id, usd) => {
    const ctx = await owner()
    const { keyId } = await save(ctx, id, 'balance')
    expect((await listProviderKeys(ctx))[0]?.balance).toMatchObject({ kind: 'account', usd, low: false })
    sandboxes.providers.setKey(sandboxKey(id, 'live', 'balance'), { balance: '0.75' })
    expect(await pollKeyBalance({ workspaceId: ctx.workspaceId, keyId }, at)).toBe(true)
    expect((await listProviderKeys(ctx))[0]?.balance).toEqual({
      kind: 'account',
      usd: '0.75',
      at: at.toISOString(),
      low: true,
    })
  })

  it('OpenRouter: of the key’s limit, none without one, of the account with a management key', async () => {
    const key = (word: string) => `sk-or-v1-${word}${'cd'.repeat(28)}`
    const cases: [string | object, object][] = [
      [key('limited'), { kind: 'key_limit', usd: '10' }],
      [key('plain'), { kind: 'no_limit', usd: null }],
      [
        { apiKey: key('both'), managementKey: key('mgmt') },
        { kind: 'account', usd: '100' },
      ],
    ]
    for (const [credential, balance] of cases) {
      const ctx = await owner()
      await saveProviderKey(ctx, { provider: 'openrouter', credential: credential as string })
      expect((await listProviderKeys(ctx))[0]?.balance).toMatchObject(balance)
    }
  })

  it('a second key that is no management key is refused under its own name; one may be added later', async () => {
    const key = (word: string) => `sk-or-v1-${word}${'ef'.repeat(28)}`
    const ctx = await owner()
    const both = { apiKey: key('one'), managementKey: key('two') }
    await expect(saveProviderKey(ctx, { provider: 'openrouter', credential: both })).rejects.toMatchObject({
      code: 'key_rejected',
      field: 'credential.managementKey',
    })
    const { keyId } = await saveProviderKey(ctx, { provider: 'openrouter', credential: key('one') })
    const credential = { apiKey: '', managementKey: key('mgmt') }
    const nowhere = saveProviderKey(ctx, { provider: 'openrouter', credential, keyId: 'no id at all' })
    await expect(nowhere).rejects.toMatchObject({ code: 'not_found' })
    expect(await saveProviderKey(ctx, { provider: 'openrouter', credential, keyId })).toMatchObject({
      outcome: 'replaced',
    })
    expect(await openProviderKey({ workspaceId: ctx.workspaceId, keyId, keyVersion: 2 })).toMatchObject({
      apiKey: key('one'),
      managementKey: key('mgmt'),
    })
  })

  it('a provider that tells none is no balance of zero', async () => {
    const ctx = await owner()
    const { keyId } = await save(ctx, 'groq', 'a')
    expect(await pollKeyBalance({ workspaceId: ctx.workspaceId, keyId }, at)).toBe(false)
    expect((await listProviderKeys(ctx))[0]?.balance).toBeNull()
  })
})
