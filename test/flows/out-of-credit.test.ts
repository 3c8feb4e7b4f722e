/** Providers that are out of credit say so under many statuses: it is the same news, and never a reason to fall back. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { flushKeyHealth, forgetKeyHealth } from '#app/domain/vault/note-key-health.server.ts'
import { allowFallback } from '#app/domain/workspaces/change-gateway-settings.server.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, ledgerOf, makeCustomer, makePayer, until, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)
beforeEach(() => void forgetKeyHealth())

const call = ({ token }: Customer, model: string) =>
  fetch(`${gateway.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] }),
  })

const saying = (status: number, body: object) => ({ raw: { status, pieces: [JSON.stringify(body)] } })
const keyLimit = saying(403, { error: { code: 403, message: 'Key limit exceeded (total limit). Manage it online' } })

interface Refused {
  provider: ProviderId
  model: string
  status: number
  body: object
}

const openai = { message: 'You exceeded your current quota.', type: 'insufficient_quota', code: 'insufficient_quota' }
const anthropic = { type: 'invalid_request_error', message: 'Your credit balance is too low to access the API.' }
const xai = 'Your team has either used all available credits or reached its monthly spending limit.'

const cases: Refused[] = [
  { provider: 'openai', model: 'gpt-5-mini', status: 429, body: { error: openai } },
  { provider: 'anthropic', model: 'claude-opus-4-6', status: 400, body: { type: 'error', error: anthropic } },
  { provider: 'xai', model: 'grok-4.3', status: 403, body: { code: 'permission-denied', error: xai } },
  { provider: 'xai', model: 'grok-4.3', status: 429, body: { code: 'resource-exhausted', error: xai } },
  {
    provider: 'deepseek',
    model: 'deepseek-v4-flash',
    status: 402,
    body: { error: { message: 'Insufficient Balance' } },
  },
]

const noticesOf = async ({ workspaceId }: Customer) =>
  (await db.owner.query('SELECT kind, message FROM notices WHERE workspace_id = $1', [workspaceId])).rows

describe('an account without credit', () => {
  test.each(cases)('$provider says so with $status', async ({ provider, model, status, body }) => {
    const customer = await makePayer(provider)
    gateway.providers.fault({ match: { provider }, scenario: saying(status, body) })
    const response = await call(customer, model)
    const { error } = (await response.json()) as { error: { code: string } }
    expect([response.status, error.code]).toEqual([status, 'provider_payment_required'])
    await flushKeyHealth()
    const { rows } = await db.owner.query('SELECT last_error_code FROM provider_keys WHERE workspace_id = $1', [
      customer.workspaceId,
    ])
    expect(rows).toEqual([{ last_error_code: 'payment_required' }])
    const notices = await until(async () => {
      const found = await noticesOf(customer)
      return found.length > 0 && found
    }, 'the notice')
    expect(notices).toEqual([{ kind: 'payment_required', message: expect.stringContaining('no credit left') }])
    expect(await ledgerOf(db, customer.workspaceId)).toMatchObject([
      { status: 'rejected_upstream', error_code: 'provider_payment_required', http_status: status, raw_cost_pico: 0n },
    ])
  })

  test('is told of a key at OpenRouter whose own limit is used up, too', async () => {
    const customer = await makeCustomer()
    gateway.sandbox.fault({ scenario: keyLimit })
    const response = await call(customer, 'openai/gpt-5-mini')
    const { error } = (await response.json()) as { error: { code: string } }
    expect([response.status, error.code]).toEqual([403, 'provider_payment_required'])
    await flushKeyHealth()
    expect(await noticesOf(customer)).toMatchObject([{ kind: 'payment_required' }])
  })

  test('never falls back, under a 429 no more than under a 402', async () => {
    const customer = await makeCustomer()
    await allowFallback(customer.owner, { surface: 'agent_run', dailyCapUsd: '5' })
    gateway.sandbox.fault({ scenario: saying(429, { error: openai }) })
    expect((await call(customer, 'openai/gpt-5-mini')).status).toBe(429)
    expect(await ledgerOf(db, customer.workspaceId)).toHaveLength(1)
  })
})

describe('words that are no word about money', () => {
  const google = 'You exceeded your current quota, please check your plan and billing details.'
  test.each<[number, object]>([
    [429, { error: { code: 429, status: 'RESOURCE_EXHAUSTED', message: google } }],
    [403, { error: { message: 'Your input was flagged', metadata: { reasons: ['violence'] } } }],
    [400, { error: { message: 'max_tokens is too large' } }],
  ])('with %i', async (status, body) => {
    const customer = await makePayer('google')
    gateway.providers.fault({ match: { provider: 'google' }, scenario: saying(status, body) })
    const response = await call(customer, 'gemini-3-pro')
    expect(((await response.json()) as { error: { code: string } }).error.code).not.toBe('provider_payment_required')
    await flushKeyHealth()
    expect(await noticesOf(customer)).toEqual([])
  })
})

describe('the platform’s own key', () => {
  const alerts = async () =>
    (await db.owner.query("SELECT FROM alerts WHERE kind = 'platform_key_refused' AND resolved_at IS NULL")).rowCount

  test('at its limit is told to the operators; a call that is refused for what it holds is not', async () => {
    const customer = await makeCustomer({ key: null })
    gateway.sandbox.fault({ scenario: saying(403, { error: { message: 'Your input was flagged' } }) })
    const flagged = await call(customer, 'openai/gpt-5-mini')
    const said = (await flagged.json()) as { error: { code: string; message: string } }
    expect([flagged.status, said.error.code]).toEqual([502, 'provider_permission_denied'])
    expect(said.error.message).not.toContain('operator')
    expect(await alerts()).toBe(0)
    gateway.sandbox.fault({ scenario: keyLimit })
    const refused = await call(customer, 'openai/gpt-5-mini')
    const text = await refused.text()
    expect([refused.status, JSON.parse(text).error.code]).toEqual([502, 'platform_key_rejected'])
    expect(text).not.toContain('limit')
    await until(async () => (await alerts()) === 1, 'the alert')
  })
})
