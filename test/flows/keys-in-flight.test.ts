import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { purgeWorkspaceKeys } from '#app/domain/vault/purge-workspace-keys.server.ts'
import { listProviderKeys } from '#app/domain/vault/queries.server.ts'
import { removeProviderKey } from '#app/domain/vault/remove-provider-key.server.ts'
import { saveProviderKey } from '#app/domain/vault/save-provider-key.server.ts'
import { changePlan } from '#app/domain/workspaces/change-plan.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { useDatabase } from '#test/database.ts'
import {
  type Customer,
  customerKey,
  ledgerOf,
  makeCustomer,
  piecesOf,
  platformKey,
  until,
  useGateway,
} from '#test/gateway.ts'
import { fingerprintOf } from '#test/sandbox/openrouter/keys.ts'

/** Whose key pays is fixed when a call is dispatched, and a key that is gone is used by nobody (stripe §4 cases 48, 49, 51). */
const db = useDatabase()
const gateway = useGateway(db)
const others: { child: ChildProcess; origin: string }[] = []
beforeAll(async () => {
  const program = path.resolve(import.meta.dirname, '../gateway-process.ts')
  for (let n = 0; n < 2; n++) {
    const child = spawn(process.execPath, [program], { env: db.childEnv(), stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string]
    others.push({ child, origin: JSON.parse(line).origin })
  }
})
afterAll(async () => {
  for (const { child } of others) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
})

const ask = (origin: string, { token }: Customer, stream = false) =>
  fetch(`${origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ model: 'openai/gpt-5-mini', stream, messages: [{ role: 'user', content: 'hello' }] }),
  })
const keysUsed = (from: number) =>
  gateway.sandbox
    .chats()
    .slice(from)
    .map(({ key }) => key)
const keyIdOf = async (customer: Customer) => (await listProviderKeys(customer.owner))[0]?.id ?? ''

test('case 48: a key removed in the middle of a stream: it ends on that key and is billed margin; the next call is the platform’s, at tier price', async () => {
  const customer = await makeCustomer()
  gateway.sandbox.fault({ scenario: { gapMs: 40, chunks: 20 } })
  const response = await ask(gateway.origin, customer, true)
  let text = ''
  for await (const piece of piecesOf(response)) {
    if (!text) await removeProviderKey(customer.owner, { keyId: await keyIdOf(customer) })
    text += piece.toString()
  }
  expect(text).toContain('data: [DONE]')
  expect((await ask(gateway.origin, customer)).status).toBe(200)
  const rows = await until(async () => {
    const found = await ledgerOf(db, customer.workspaceId)
    return found.length === 2 && found
  }, 'both calls in the ledger')
  expect(rows.map((row) => [row.status, row.key_source, row.charge_mode])).toEqual([
    ['ok', 'workspace', 'tier_margin'],
    ['ok', 'platform', 'tier'],
  ])
  expect(rows[1]?.charge_pico).toBe(rows[1]?.tier_price_pico)
})

test('case 49: two workers that hold the key open, and hear of nothing, send no call on it after the purge', async () => {
  const customer = await makeCustomer()
  for (const { origin } of others) expect((await ask(origin, customer)).status).toBe(200)
  await db.owner.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'keymargin listen%' AND datname = current_database()`,
  )
  const at = new Date()
  const actor = { kind: 'system' } as const
  const { workspaceId } = customer
  await inSystem(async (tx) => {
    const subscription = { id: null, status: null, endsAt: null }
    await changePlan(tx, { workspaceId, planId: 'pro', subscription, cause: 'evt_test', actor, at })
    const left = {
      cause: 'plan_changed' as const,
      causeReference: 'evt_test',
      fromPlanId: 'enterprise',
      toPlanId: 'pro',
    }
    await purgeWorkspaceKeys(tx, { workspaceId, ...left, actor, at, keeps: () => false })
  })
  const from = gateway.sandbox.chats().length
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => ask(others[index % 2]?.origin ?? '', customer)),
  )
  expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
  expect(new Set(keysUsed(from))).toEqual(new Set([fingerprintOf(platformKey())]))
  expect(keysUsed(from)).toHaveLength(20)
})

test('case 51: a key that is replaced in the month: each call keeps the key it went out on, and sums are per key', async () => {
  const customer = await makeCustomer()
  const keyId = await keyIdOf(customer)
  const next = `sk-or-v1-${'5eed'.repeat(16)}`
  const from = gateway.sandbox.chats().length
  await ask(gateway.origin, customer)
  await saveProviderKey(customer.owner, { provider: 'openrouter', credential: next, keyId })
  await ask(gateway.origin, customer)
  await ask(gateway.origin, customer)
  const [one, two] = [fingerprintOf(customerKey), fingerprintOf(next)]
  expect(keysUsed(from)).toEqual([one, two, two])
  const rows = await ledgerOf(db, customer.workspaceId)
  expect(rows.map((row) => [row.key_id, row.key_version])).toEqual([
    [keyId, 1],
    [keyId, 2],
    [keyId, 2],
  ])
  const { rows: sums } = await db.owner.query(
    `SELECT key_version, count(*)::int AS calls FROM metering.inference_calls WHERE workspace_id = $1 GROUP BY 1 ORDER BY 1`,
    [customer.workspaceId],
  )
  expect(sums).toEqual([
    { key_version: 1, calls: 1 },
    { key_version: 2, calls: 2 },
  ])
})
