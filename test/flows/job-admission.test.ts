/** Whether a workspace may queue a job: the words and codes that a queue goes by. */
import { describe, expect, test } from 'vitest'
import { createBudget } from '#app/domain/budgets/set-budget.server.ts'
import { setProviderKey } from '#app/domain/vault/set-provider-key.server.ts'
import { grant } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, makeCustomer, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)
const USD = 1_000_000_000_000n

const ask = (token: string, body: unknown) =>
  fetch(`${gateway.origin}/v1/admission`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  })
const answerTo = async ({ token }: Customer, body: object = {}) => {
  const response = await ask(token, { kind: 'review', ...body })
  expect(response.status).toBe(200)
  const { allowed, reasons, ...rest } = await response.json()
  expect(allowed).toBe(reasons.length === 0)
  for (const { message } of reasons) expect(message).toMatch(/\.$/)
  return { codes: reasons.map(({ code }: { code: string }) => code), ...rest }
}
const set = (customer: Customer, column: string, value: unknown) =>
  db.owner.query(`UPDATE workspaces SET ${column} = $2, key_epoch = key_epoch + 1 WHERE id = $1`, [
    customer.workspaceId,
    value,
  ])

describe('a plan with credits', () => {
  test('needs credits of at least its minimum, or an enabled key of its own', async () => {
    const customer = await makeCustomer({ key: null, planId: 'harness-solo' })
    expect(await answerTo(customer)).toEqual({
      ...{ codes: ['insufficient_credits'], kind: 'review', surface: 'agent_run', model: null, key_source: 'platform' },
      credits: { available_usd: '0', minimum_usd: '0.05' },
    })
    await grant(db, customer.workspaceId, USD / 20n - 1n)
    expect((await answerTo(customer)).codes).toEqual(['insufficient_credits'])
    await grant(db, customer.workspaceId, 1n)
    expect(await answerTo(customer)).toMatchObject({ codes: [], credits: { available_usd: '0.05' } })
  })

  // It said yes, and then every call and usage event of the job was refused.
  test('in euros, on a plan that reckons in dollars: says so', async () => {
    const customer = await makeCustomer({ planId: 'harness-solo' })
    await grant(db, customer.workspaceId, USD)
    await set(customer, 'currency', 'eur')
    expect((await answerTo(customer)).codes).toEqual(['plan_needs_dollars'])
    await set(customer, 'currency', 'usd')
    expect((await answerTo(customer)).codes).toEqual([])
  })

  test('an enabled key of its own stands in for credits, a switched-off one does not, and none does on a background surface', async () => {
    const customer = await makeCustomer({ planId: 'harness-solo' })
    expect(await answerTo(customer)).toMatchObject({ codes: [], key_source: 'workspace' })
    expect(await answerTo(customer, { model: 'openai/gpt-5-mini' })).toMatchObject({
      codes: [],
      key_source: 'workspace',
    })
    expect((await answerTo(customer, { surface: 'sandbox' })).codes).toEqual(['insufficient_credits'])
    const { rows } = await db.owner.query('SELECT id::text FROM provider_keys WHERE workspace_id = $1', [
      customer.workspaceId,
    ])
    await setProviderKey(customer.owner, { keyId: rows[0].id, enabled: false })
    expect((await answerTo(customer)).codes).toEqual(['insufficient_credits'])
  })

  test('that bills its overage needs none', async () => {
    await db.owner.query("UPDATE plans SET credit_overage = 'bill' WHERE id = 'harness-team'")
    expect((await answerTo(await makeCustomer({ key: null, planId: 'harness-team' }))).codes).toEqual([])
  })
})

describe('the subscription', () => {
  test.each([
    [null, []],
    ['active', []],
    ['trialing', []],
    ['past_due', []],
    ['unpaid', ['subscription_inactive']],
    ['canceled', ['subscription_inactive']],
    ['paused', ['subscription_inactive']],
    ['incomplete', ['subscription_inactive']],
  ])('%s: %j', async (status, codes) => {
    const customer = await makeCustomer({ key: null, planId: 'pro' })
    await set(customer, 'subscription_status', status)
    expect((await answerTo(customer)).codes).toEqual(codes)
  })

  test('a suspended workspace is told, with everything else that stands against it', async () => {
    const customer = await makeCustomer({ key: null, planId: 'harness-solo' })
    await set(customer, 'suspended_at', new Date())
    expect((await answerTo(customer)).codes).toEqual(['workspace_suspended', 'insufficient_credits'])
  })
})

test('a plan without a platform key needs a key', async () => {
  expect((await answerTo(await makeCustomer({ key: null, planId: 'pass-through' }))).codes).toEqual(['key_required'])
})

test('a model that nobody serves here is named', async () => {
  const customer = await makeCustomer({ key: null, planId: 'pro' })
  expect((await answerTo(customer, { model: 'nobody/nothing' })).codes).toEqual(['model_not_found'])
})

test('a body that describes no job, and keeps everybody waiting while it is read, is not read', async () => {
  const { token } = await makeCustomer({ key: null, planId: 'pro' })
  const response = await ask(token, { kind: 'review', rows: Array.from({ length: 100_000 }, () => ({})) })
  expect([response.status, (await response.json()).error.code]).toEqual([413, 'body_too_large'])
})

test('a hard budget without room stands against it, one with room and a soft one do not', async () => {
  const customer = await makeCustomer({ key: null, planId: 'pro' })
  const made = { scope: 'workspace', scopeId: '', period: 'day', countsOwnKey: false } as const
  await createBudget(customer.owner, { ...made, name: 'Soft', limit: '0', hard: false })
  await createBudget(customer.owner, { ...made, name: 'Wide', limit: '5', hard: true })
  expect((await answerTo(customer)).codes).toEqual([])
  await createBudget(customer.owner, { ...made, name: 'Narrow', limit: '0', hard: true })
  const { reasons } = await (await ask(customer.token, { kind: 'review' })).json()
  expect(reasons).toMatchObject([{ code: 'budget_exceeded', message: expect.stringContaining("'Narrow'") }])
})

test.each<[string | null, unknown]>([
  ['kind', {}],
  ['kind', { kind: '' }],
  ['kind', { kind: 7 }],
  ['surface', { kind: 'x', surface: 'nowhere' }],
  ['model', { kind: 'x', model: 7 }],
  [null, { kind: 'x', user: 'y' }],
  [null, [1]],
])('a wrong request is a 400 that names %s', async (param, body) => {
  const { token } = await makeCustomer({ key: null, planId: 'pro' })
  const response = await ask(token, body)
  expect([response.status, (await response.json()).error.param]).toEqual([400, param])
})
