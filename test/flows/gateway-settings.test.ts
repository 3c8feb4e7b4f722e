import { describe, expect, test } from 'vitest'
import { getKeyCoverage } from '#app/domain/analytics/key-coverage.server.ts'
import { forgetCatalogue } from '#app/domain/pricing/queries.server.ts'
import {
  allowFallback,
  forbidFallback,
  getGatewaySettings,
  setLowBalance,
  setNeverPlatformKey,
} from '#app/domain/workspaces/change-gateway-settings.server.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember } from '#test/factories.ts'
import { type Customer, customerKey, ledgerOf, makeCustomer, platformKey, until, useGateway } from '#test/gateway.ts'
import { fingerprintOf } from '#test/sandbox/openrouter/keys.ts'

const db = useDatabase()
const gateway = useGateway(db)
const model = 'openai/gpt-5-mini'

const call = (customer: Customer, headers: Record<string, string> = {}, stream = false) =>
  fetch(`${gateway.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${customer.token}`, ...headers },
    body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'hello' }] }),
  })

const own = fingerprintOf(customerKey)
const keysUsed = (from: number) =>
  gateway.sandbox
    .chats()
    .slice(from)
    .map((line) => line.key)

const codeOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code

describe('never use the platform key', () => {
  test('turns an absent key into a clear 400, from the next call on, and back', async () => {
    const customer = await makeCustomer({ key: null })
    expect((await call(customer)).headers.get('x-keymargin-key-source')).toBe('platform')
    await setNeverPlatformKey(customer.owner, { on: true })
    const from = gateway.sandbox.chats().length
    const refused = await call(customer)
    expect([refused.status, await codeOf(refused)]).toEqual([400, 'key_required'])
    expect(keysUsed(from)).toEqual([])
    await setNeverPlatformKey(customer.owner, { on: false })
    expect((await call(customer)).status).toBe(200)
  })

  test('says under a plan without own keys what to change, for no key can be saved there', async () => {
    const customer = await makeCustomer({ key: null, planId: 'pro' })
    await setNeverPlatformKey(customer.owner, { on: true })
    const { error } = (await (await call(customer)).json()) as { error: { code: string; message: string } }
    expect(error.code).toBe('key_required')
    expect(error.message).toContain('Allow the platform key again under Settings → Billing.')
  })

  test('moves background surfaces to the workspace’s own key', async () => {
    const customer = await makeCustomer()
    const background = { 'x-keymargin-surface': 'search_indexer' }
    expect((await call(customer, background)).headers.get('x-keymargin-key-source')).toBe('platform')
    await setNeverPlatformKey(customer.owner, { on: true })
    expect((await call(customer, background)).headers.get('x-keymargin-key-source')).toBe('workspace')
  })
})

describe('the opt-in fall-back to the platform key', () => {
  test.each([429, 500, 503])(
    'takes a call refused with %i, as a call of its own that names the refused one',
    async (error) => {
      const customer = await makeCustomer()
      await allowFallback(customer.owner, { surface: 'agent_run', dailyCapUsd: '5' })
      const from = gateway.sandbox.chats().length
      gateway.sandbox.fault({ scenario: { error } })
      const response = await call(customer)
      expect(response.status).toBe(200)
      expect(response.headers.get('x-keymargin-key-source')).toBe('platform')
      expect(keysUsed(from)).toEqual([own, fingerprintOf(platformKey())])
      const [refused, standIn] = await ledgerOf(db, customer.workspaceId)
      expect(refused).toMatchObject({
        status: 'rejected_upstream',
        key_source: 'workspace',
        charge_pico: 0n,
        fallback_of: null,
      })
      expect(standIn).toMatchObject({
        status: 'ok',
        key_source: 'platform',
        charge_mode: 'tier',
        fallback_of: refused?.id,
      })
      expect(standIn?.charge_pico).toBe(standIn?.tier_price_pico)
      expect(response.headers.get('x-keymargin-fallback-of')).toBe(refused?.id)
      expect(response.headers.get('x-keymargin-call-id')).toBe(standIn?.id)
    },
  )

  test('never takes a call that insists on a key of its own', async () => {
    const customer = await makeCustomer()
    await allowFallback(customer.owner, { surface: 'agent_run', dailyCapUsd: '5' })
    gateway.sandbox.fault({ scenario: { error: 503 } })
    expect((await call(customer, { 'x-byok-provider': 'openrouter' })).status).toBe(503)
    expect(await ledgerOf(db, customer.workspaceId)).toMatchObject([{ key_source: 'workspace' }])
  })

  test('takes a stream as well', async () => {
    const customer = await makeCustomer()
    await allowFallback(customer.owner, { surface: 'agent_run', dailyCapUsd: '5' })
    gateway.sandbox.fault({ scenario: { error: 503 } })
    const response = await call(customer, {}, true)
    expect(await response.text()).toContain('data: [DONE]')
  })

  test.each([400, 401, 402, 403, 404])('never takes a call refused with %i', async (error) => {
    const customer = await makeCustomer()
    await allowFallback(customer.owner, { surface: 'agent_run', dailyCapUsd: '5' })
    const from = gateway.sandbox.chats().length
    gateway.sandbox.fault({ scenario: { error } })
    expect((await call(customer)).status).toBe(error)
    expect(keysUsed(from)).toEqual([own])
  })

  test('holds for the surface it was allowed on, and no longer once it is forbidden', async () => {
    const customer = await makeCustomer()
    await allowFallback(customer.owner, { surface: 'document_ocr', dailyCapUsd: '5' })
    gateway.sandbox.fault({ scenario: { error: 429 } })
    expect((await call(customer)).status).toBe(429)
    await forbidFallback(customer.owner, { surface: 'document_ocr' })
    gateway.sandbox.fault({ scenario: { error: 429 } })
    expect((await call(customer, { 'x-keymargin-surface': 'document_ocr' })).status).toBe(429)
  })

  test('ends for the day when what it was charged reaches the cap', async () => {
    const customer = await makeCustomer()
    await allowFallback(customer.owner, { surface: 'agent_run', dailyCapUsd: '0.000001' })
    gateway.sandbox.fault({ scenario: { error: 429 } })
    expect((await call(customer)).status).toBe(200)
    gateway.sandbox.fault({ scenario: { error: 429 } })
    expect((await call(customer)).status).toBe(429)
  })

  test('a burst that is refused at once takes no more than the cap, beyond the one call that reaches it', async () => {
    const customer = await makeCustomer()
    await allowFallback(customer.owner, { surface: 'agent_run', dailyCapUsd: '0.000001' })
    gateway.sandbox.fault({ scenario: { error: 429 }, times: 20, match: { key: own } })
    gateway.sandbox.fault({ scenario: { firstMs: 200 }, match: { key: fingerprintOf(platformKey()) } })
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(customer)))
    expect(answers.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1)
    const standIns = (await ledgerOf(db, customer.workspaceId)).filter((row) => row.fallback_of !== null)
    expect(standIns).toHaveLength(1)
  })

  test('of a model with long answers, calls that name no limit leave the cap room for them', async () => {
    const customer = await makeCustomer()
    await db.owner.query('UPDATE models SET max_output_tokens = 128000 WHERE id = $1', [model])
    forgetCatalogue()
    try {
      await allowFallback(customer.owner, { surface: 'agent_run', dailyCapUsd: '0.1' }) // seven times 4,096 tokens of output
      gateway.sandbox.fault({ scenario: { error: 429 }, times: 8, match: { key: own } })
      gateway.sandbox.fault({ scenario: { firstMs: 200 }, match: { key: fingerprintOf(platformKey()) } })
      const answers = await Promise.all(Array.from({ length: 8 }, () => call(customer)))
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    } finally {
      await db.owner.query('UPDATE models SET max_output_tokens = NULL WHERE id = $1', [model])
      forgetCatalogue()
    }
  })

  test('is told to the workspace, once a day and surface', async () => {
    const customer = await makeCustomer()
    await allowFallback(customer.owner, { surface: 'agent_run', dailyCapUsd: '5' })
    for (let n = 0; n < 2; n++) {
      gateway.sandbox.fault({ scenario: { error: 429 } })
      await call(customer)
    }
    const notices = () =>
      db.owner.query('SELECT kind, message FROM notices WHERE workspace_id = $1', [customer.workspaceId])
    const { rows } = await until(async () => {
      const found = await notices()
      return found.rows.length > 0 && found
    }, 'the notice')
    expect(rows).toEqual([{ kind: 'fallback_used', message: expect.stringContaining('429') }])
  })
})

describe('what would make a call dearer for the operator', () => {
  test.each([
    ['service_tier', '"priority"'],
    ['web_search_options', '{}'],
    ['provider', '{"order":["dear"]}'],
  ])('%s is refused on the platform key, and goes on under an own one', async (name, value) => {
    const body = `{"model":"${model}","messages":[{"role":"user","content":"hello"}],"${name}":${value}}`
    const send = async (key: string | null) => {
      const { token } = await makeCustomer({ key })
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
      return fetch(`${gateway.origin}/v1/chat/completions`, { method: 'POST', headers, body })
    }
    const refused = await send(null)
    expect([refused.status, ((await refused.json()) as { error: { param: string } }).error.param]).toEqual([400, name])
    expect((await send(customerKey)).status).toBe(200)
  })
})

describe('the settings', () => {
  test('are refused with the field named, and change nothing', async () => {
    const { owner } = await makeCustomer()
    await expect(allowFallback(owner, { surface: 'agent_run', dailyCapUsd: '0' })).rejects.toMatchObject({
      field: 'dailyCapUsd',
    })
    await expect(allowFallback(owner, { surface: 'nowhere', dailyCapUsd: '1' })).rejects.toMatchObject({
      field: 'surface',
    })
    await expect(allowFallback(owner, { surface: 'search_indexer', dailyCapUsd: '1' })).rejects.toMatchObject({
      code: 'surface_on_platform_key',
    })
    await expect(setLowBalance(owner, { usd: 'much' })).rejects.toMatchObject({ field: 'lowBalanceUsd' })
    expect(await getGatewaySettings(owner)).toEqual({ neverPlatformKey: false, lowBalanceUsd: '5', fallbacks: [] })
  })

  test('are read by members and changed by those who manage billing, with an audit row each', async () => {
    const { owner, workspaceId } = await makeCustomer()
    const member = await makeMember(workspaceId, 'member')
    await expect(setNeverPlatformKey(member, { on: true })).rejects.toMatchObject({ kind: 'forbidden' })
    await setLowBalance(owner, { usd: '$12.50' })
    await allowFallback(owner, { surface: 'agent_run', dailyCapUsd: '3' })
    expect(await getGatewaySettings(member)).toEqual({
      neverPlatformKey: false,
      lowBalanceUsd: '12.5',
      fallbacks: [{ surface: 'agent_run', dailyCapUsd: '3' }],
    })
    const { rows } = await db.owner.query(
      `SELECT action FROM audit_events WHERE workspace_id = $1 AND subject_type = 'workspace' ORDER BY seq`,
      [workspaceId],
    )
    expect(rows.map((row) => row.action)).toEqual(['workspace.low_balance_set', 'workspace.fallback_allowed'])
  })
})

test('the coverage of a key names the models of the last 30 days that it cannot call', async () => {
  const customer = await makeCustomer()
  await (await call(customer)).text()
  const { rows } = await db.owner.query('SELECT id::text, version FROM provider_keys WHERE workspace_id = $1', [
    customer.workspaceId,
  ])
  const [key] = rows
  expect(await getKeyCoverage(customer.owner, key.id)).toEqual({ keyId: key.id, listedAt: null, used: 1, missing: [] })
  const list = (models: string[]) =>
    db.owner.query(
      `INSERT INTO provider_key_models (workspace_id, key_id, key_version, models, fetched_at) VALUES ($1, $2, $3, $4, now())
       ON CONFLICT (workspace_id, key_id) DO UPDATE SET models = excluded.models`,
      [customer.workspaceId, key.id, key.version, models],
    )
  await list(['some/other'])
  expect((await getKeyCoverage(customer.owner, key.id)).missing).toEqual([{ model, calls: 1, reason: 'not_listed' }])
  await list(['gpt-5-mini'])
  expect((await getKeyCoverage(customer.owner, key.id)).missing).toEqual([])
})
