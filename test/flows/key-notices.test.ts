import { beforeEach, describe, expect, test } from 'vitest'
import { forgetKeyHealth } from '#app/domain/vault/note-key-health.server.ts'
import { pollKeyBalance } from '#app/domain/vault/poll-key-balance.server.ts'
import { purgeWorkspaceKeys } from '#app/domain/vault/purge-workspace-keys.server.ts'
import { removeProviderKey } from '#app/domain/vault/remove-provider-key.server.ts'
import { reprobeProviderKey } from '#app/domain/vault/reprobe-provider-key.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { setLowBalance } from '#app/domain/workspaces/change-gateway-settings.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { dropSingleton } from '#app/platform/singleton.server.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, makeCustomer, until, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)

let serial = 0
/** A key of its own for each workspace, so that their limits and balances are their own. */
const freshKey = () => `sk-or-v1-${(++serial).toString(16).padStart(8, '0').repeat(8)}`

interface Holder extends Customer {
  key: string
  keyId: string
}

async function makeHolder(limit: string | null = '20'): Promise<Holder> {
  const customer = await makeCustomer({ key: null })
  const key = freshKey()
  gateway.sandbox.setKey(key, { limit })
  const { keyId } = await saveProviderKey(customer.owner, { provider: 'openrouter', credential: key })
  return { ...customer, key, keyId }
}

const noticesOf = async ({ workspaceId }: Customer, kind = 'low_balance') =>
  (
    await db.owner.query('SELECT * FROM notices WHERE workspace_id = $1 AND kind = $2 ORDER BY raised_at, id', [
      workspaceId,
      kind,
    ])
  ).rows

/** Whether a notice stands, and how many were raised ever. */
async function standing(customer: Customer, kind?: string): Promise<[open: number, ever: number]> {
  const rows = await noticesOf(customer, kind)
  return [rows.filter((row) => row.dismissed_at === null).length, rows.length]
}

/** The provider says that so much is left, and is asked. */
async function pollAt({ workspaceId, keyId, key }: Holder, left: string): Promise<void> {
  gateway.sandbox.setKey(key, { limit: left, usage: '0' })
  expect(await pollKeyBalance({ workspaceId, keyId }, new Date())).toBe(true)
}

const call = async ({ token }: Customer, scenario = '') => {
  const response = await fetch(`${gateway.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ model: 'openai/gpt-5-mini', messages: [{ role: 'user', content: `hello ${scenario}` }] }),
  })
  await response.text()
  return response.status
}

describe('a balance that is polled', () => {
  test('raises one notice below the threshold, and again only after it stood at 1.25 times the threshold', async () => {
    const holder = await makeHolder()
    const steps: [left: string, open: number, ever: number][] = [
      ['5', 0, 0],
      ['4.99', 1, 1],
      ['4.2', 1, 1],
      ['5.5', 1, 1],
      ['4.9', 1, 1],
      ['6.24', 1, 1],
      ['6.25', 0, 1],
      ['5.01', 0, 1],
      ['4.999999', 1, 2],
      ['0', 1, 2],
      ['50', 0, 2],
    ]
    for (const [left, open, ever] of steps) {
      await pollAt(holder, left)
      expect([left, ...(await standing(holder))]).toEqual([left, open, ever])
    }
  })

  test('says what is left, at which provider, under which key, and nothing of the key but its hint', async () => {
    const holder = await makeHolder()
    await pollAt(holder, '1.2')
    const [notice] = await noticesOf(holder)
    expect(notice).toMatchObject({
      reference: holder.keyId,
      title: 'A key is low on credit at OpenRouter',
      path: 'settings/billing',
    })
    expect(notice.message).toContain(`OpenRouter key sk-or-v1-…${holder.key.slice(-4)} has $1.20 left of its limit`)
    expect(notice.message).toContain('less than the $5.00')
    expect(notice.message).not.toContain(holder.key.slice(9, 30))
  })

  test('does not raise again what was dismissed while the balance is low', async () => {
    const holder = await makeHolder()
    await pollAt(holder, '1')
    await db.owner.query('UPDATE notices SET dismissed_at = now() WHERE workspace_id = $1', [holder.workspaceId])
    for (const left of ['0.5', '5.5', '2']) await pollAt(holder, left)
    expect(await standing(holder)).toEqual([0, 1])
  })

  test('of a key without a limit is never low, and taking the limit off ends the notice', async () => {
    const holder = await makeHolder(null)
    const { workspaceId, keyId, key } = holder
    expect(await pollKeyBalance({ workspaceId, keyId }, new Date())).toBe(true)
    expect(await standing(holder)).toEqual([0, 0])
    await pollAt(holder, '1')
    expect(await standing(holder)).toEqual([1, 1])
    gateway.sandbox.setKey(key, { limit: null })
    await pollKeyBalance({ workspaceId, keyId }, new Date())
    expect(await standing(holder)).toEqual([0, 1])
  })

  test('is compared with the workspace’s own threshold', async () => {
    const holder = await makeHolder()
    await setLowBalance(holder.owner, { usd: '30' })
    await pollAt(holder, '29.99')
    expect(await standing(holder)).toEqual([1, 1])
    await setLowBalance(holder.owner, { usd: '10' })
    await pollAt(holder, '29.99')
    expect(await standing(holder)).toEqual([0, 1])
  })

  test('is looked at when a key is saved and when it is probed again, too', async () => {
    const holder = await makeHolder('3')
    expect(await standing(holder)).toEqual([1, 1])
    gateway.sandbox.setKey(holder.key, { limit: '80' })
    const { workspaceId, keyId } = holder
    expect(await reprobeProviderKey({ workspaceId, keyId }, new Date())).toBe('valid')
    expect(await standing(holder)).toEqual([0, 1])
  })

  test('of two looks at once raises one notice', async () => {
    const holder = await makeHolder()
    const { workspaceId, keyId, key } = holder
    gateway.sandbox.setKey(key, { limit: '1' })
    await Promise.all(Array.from({ length: 6 }, () => pollKeyBalance({ workspaceId, keyId }, new Date())))
    expect(await standing(holder)).toEqual([1, 1])
  })

  test.each(['removed', 'replaced', 'destroyed'])('has no notice any more when its key is %s', async (how) => {
    const holder = await makeHolder('1')
    const { owner, keyId, workspaceId } = holder
    expect(await standing(holder)).toEqual([1, 1])
    if (how === 'removed') await removeProviderKey(owner, { keyId })
    if (how === 'replaced') await saveProviderKey(owner, { provider: 'openrouter', credential: freshKey(), keyId })
    const left = { cause: 'plan_changed', causeReference: null, fromPlanId: 'enterprise', toPlanId: 'pro' }
    const purge = { workspaceId, ...left, actor: { kind: 'system' as const }, at: new Date() }
    if (how === 'destroyed') await inSystem((tx) => purgeWorkspaceKeys(tx, purge))
    expect(await standing(holder)).toEqual([0, 1])
  })
})

describe('a 402 from a call', () => {
  beforeEach(() => void forgetKeyHealth())
  const told = (customer: Customer) => standing(customer, 'payment_required')
  const refuse = async (customer: Customer) => {
    forgetKeyHealth()
    gateway.sandbox.fault({ scenario: { error: 402 } })
    expect(await call(customer)).toBe(402)
  }
  const polls = async ({ keyId }: Holder) =>
    (await db.owner.query('SELECT FROM graphile_worker.jobs WHERE key = $1', [`poll-key-balance:${keyId}`])).rowCount

  test('is told at once, once, and the balance is asked for', async () => {
    const holder = await makeHolder(null)
    await refuse(holder)
    await until(async () => (await told(holder))[0] === 1, 'the notice')
    expect(await polls(holder)).toBe(1)
    const [notice] = await noticesOf(holder, 'payment_required')
    expect(notice.message).toContain(`refused a call under key sk-or-v1-…${holder.key.slice(-4)}: there is no credit`)
    for (let n = 0; n < 3; n++) await refuse(holder)
    await until(async () => (await lastError(holder)) === 'payment_required', 'the mark on the card')
    expect(await told(holder)).toEqual([1, 1])
  })

  const lastError = async ({ keyId }: Holder) =>
    (await db.owner.query('SELECT last_error_code AS code FROM provider_keys WHERE id = $1', [keyId])).rows[0].code
  const errorAt = async ({ keyId }: Holder) =>
    (await db.owner.query('SELECT last_error_at AS at FROM provider_keys WHERE id = $1', [keyId])).rows[0].at?.getTime()

  test('is told at most once an hour, also where it was dismissed, and again after that', async () => {
    const holder = await makeHolder(null)
    await refuse(holder)
    await until(async () => (await told(holder))[0] === 1, 'the notice')
    await db.owner.query('UPDATE notices SET dismissed_at = now() WHERE workspace_id = $1', [holder.workspaceId])
    for (const which of ['second', 'third']) {
      const before = await errorAt(holder)
      await refuse(holder)
      await until(async () => (await errorAt(holder)) > before, `the ${which} mark`)
    }
    expect(await told(holder)).toEqual([0, 1])
    await db.owner.query("UPDATE notices SET raised_at = raised_at - interval '61 minutes' WHERE workspace_id = $1", [
      holder.workspaceId,
    ])
    await refuse(holder)
    await until(async () => (await told(holder))[0] === 1, 'another notice')
  })

  test('is over when a call succeeds under the key again', async () => {
    const holder = await makeHolder(null)
    await refuse(holder)
    await until(async () => (await told(holder))[0] === 1, 'the notice')
    expect(await call(holder)).toBe(200)
    await until(async () => (await told(holder))[0] === 0, 'the end of the notice')
  })

  test('is over when the balance recovers', async () => {
    const holder = await makeHolder()
    await pollAt(holder, '0')
    await refuse(holder)
    await until(async () => (await told(holder))[0] === 1, 'the notice')
    await pollAt(holder, '50')
    expect([await told(holder), await standing(holder)]).toEqual([
      [0, 1],
      [0, 1],
    ])
  })

  test('of another kind (401, 429) is no word about money', async () => {
    const holder = await makeHolder(null)
    for (const error of [401, 429]) {
      gateway.sandbox.fault({ scenario: { error } })
      await call(holder)
    }
    await until(async () => (await lastError(holder)) === 'refused', 'the mark on the card')
    expect(await told(holder)).toEqual([0, 0])
  })
})

describe('the operators’ alert about the platform key', () => {
  const open = async () =>
    (await db.owner.query("SELECT FROM alerts WHERE kind = 'platform_key_refused' AND resolved_at IS NULL")).rowCount

  test('is over when a call on the platform key succeeds again, in whichever process; no query for every call', async () => {
    const customer = await makeCustomer({ key: null })
    const asIfRestarted = () => dropSingleton('gateway:platform-keys')
    asIfRestarted()
    gateway.sandbox.fault({ scenario: { error: 401 } })
    expect(await call(customer)).toBe(502)
    await until(async () => (await open()) === 1, 'the alert')
    expect(await call(customer)).toBe(200)
    await until(async () => (await open()) === 0, 'the end of the alert')

    await db.owner.query("UPDATE alerts SET resolved_at = NULL WHERE kind = 'platform_key_refused'")
    for (let n = 0; n < 3; n++) expect(await call(customer)).toBe(200)
    expect(await open(), 'looked for again although it was a moment ago').toBe(1)
    asIfRestarted()
    expect(await call(customer)).toBe(200)
    await until(async () => (await open()) === 0, 'the end of the other process’s alert')
  })
})
