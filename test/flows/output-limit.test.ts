/** A call that names no limit and that credits or a hard budget pay for goes out with one: no reply overdraws what is held. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createBudget } from '#app/domain/budgets/set-budget.server.ts'
import { refreshCatalogues } from '#app/domain/operations/refresh-catalogues.server.ts'
import { forgetCatalogue } from '#app/domain/pricing/queries.server.ts'
import { picoToUsd } from '#app/platform/pico.ts'
import { expectBooksAgree, grant, purseOf } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { makeGatewayToken } from '#test/factories.ts'
import { type Customer, ledgerOf, makeCustomer, openAttemptsOf, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)
const USD = 1_000_000_000_000n
/** cost_effective: $0.0000006 per input token, $0.0000036 per output token. */
const priceOf = (input: number, output: number) => BigInt(input) * 600_000n + BigInt(output) * 3_600_000n
const longest = 65_536

const header = 'x-keymargin-output-limit'

const ask = (token: string, more: object = {}): Promise<Response> =>
  fetch(`${gateway.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ model: 'openai/gpt-5-mini', messages: [{ role: 'user', content: 'hello' }], ...more }),
  })

/** A model that would write so many tokens, and keeps to a limit. */
const writes = (wanted: number, input = 10, times = 1) =>
  gateway.sandbox.fault({ times, scenario: { wanted, input, cost: '0.000001', chunks: 2 } })

const onCredits = async (pico: bigint): Promise<Customer> => {
  const customer = await makeCustomer({ key: null, planId: 'credits' })
  await grant(db, customer.workspaceId, pico)
  return customer
}

const setLongest = async (tokens: number | null) => {
  await db.owner.query('UPDATE models SET max_output_tokens = $1', [tokens])
  forgetCatalogue()
}

beforeAll(() => setLongest(longest))
afterEach(async () => {
  expect(await openAttemptsOf(db)).toBe(0)
})

describe('on credits', () => {
  test('the limit is the model’s longest answer where a tenth of the credits covers it', async () => {
    const { token, workspaceId } = await onCredits(10n * USD)
    writes(20_000)
    const response = await ask(token)
    expect([response.status, response.headers.get(header)]).toEqual([200, String(longest)])
    expect((await response.json()).usage.completion_tokens).toBe(20_000)
    expect(await purseOf(db, workspaceId)).toMatchObject({ spent: priceOf(10, 20_000), held: 0n, shortfall: 0n })
  })

  test('a reply as long as it may be comes to no more than was held, streamed or not', async () => {
    for (const stream of [false, true]) {
      const { token, workspaceId } = await onCredits(priceOf(2_000, 5_000))
      writes(1_000_000)
      const response = await ask(token, { stream })
      const limit = Number(response.headers.get(header))
      expect(limit).toBe(4_096)
      await response.text()
      expect((await ledgerOf(db, workspaceId)).at(-1)).toMatchObject({ output_tokens: limit })
      expect(await purseOf(db, workspaceId)).toMatchObject({ held: 0n, shortfall: 0n })
      await expectBooksAgree(db, workspaceId)
    }
  })

  test('of 16 at once none overdraws, and the first leaves the others room', async () => {
    const { token, workspaceId } = await onCredits(priceOf(0, 200_000))
    writes(1_000_000, 10, 16)
    const answers = await Promise.all(Array.from({ length: 16 }, () => ask(token)))
    const limits = answers.map((answer) => Number(answer.headers.get(header)))
    await Promise.all(answers.map((answer) => answer.text()))
    expect(answers.map(({ status }) => status)).toEqual(Array(16).fill(200))
    expect(Math.max(...limits)).toBeLessThanOrEqual(20_000)
    expect(Math.min(...limits)).toBeGreaterThanOrEqual(1_024)
    const purse = await purseOf(db, workspaceId)
    expect(purse).toMatchObject({ held: 0n, shortfall: 0n })
    expect(purse.spent).toBe(limits.reduce((sum, limit) => sum + priceOf(10, limit), 0n))
    await expectBooksAgree(db, workspaceId)
  })

  test('less room than for 1,024 tokens refuses it, as before', async () => {
    const { token } = await onCredits(priceOf(20, 1_000))
    const response = await ask(token)
    expect([response.status, (await response.json()).error.code]).toEqual([402, 'insufficient_credits'])
    expect(response.headers.has(header)).toBe(false)
  })

  test('a limit that the client names is the client’s, and nothing is added', async () => {
    const { token } = await onCredits(USD)
    const response = await ask(token, { max_completion_tokens: 7 })
    expect(response.headers.has(header)).toBe(false)
    expect((await response.json()).usage.completion_tokens).toBe(7)
  })

  test('of several answers each has the limit', async () => {
    const { token, workspaceId } = await onCredits(priceOf(2_000, 8 * 2_000))
    const response = await ask(token, { n: 8 })
    const limit = Number(response.headers.get(header))
    expect(limit).toBeGreaterThanOrEqual(2_000)
    expect(limit).toBeLessThan(2_200)
    await response.text()
    expect((await purseOf(db, workspaceId)).shortfall).toBe(0n)
  })

  test('where nobody says how long an answer can be, it is 4,096 tokens; the list of the platform’s provider says', async () => {
    const { token } = await onCredits(10n * USD)
    await setLongest(null)
    const before = await ask(token)
    expect(before.headers.get(header)).toBe('4096')
    await before.text()
    await refreshCatalogues(new Date())
    const after = await ask(token)
    expect(after.headers.get(header)).toBe(String(longest))
    await after.text()
  })
})

describe('a plan that bills what goes beyond its credits', () => {
  test('bills the call and leaves it alone rather than cut it below 4,096 tokens', async () => {
    await db.owner.query(`UPDATE plans SET credit_overage = 'bill' WHERE id = 'credits'`)
    try {
      const { token, workspaceId } = await onCredits(priceOf(20, 3_000))
      writes(6_000)
      const response = await ask(token)
      expect([response.headers.get('x-keymargin-charge-mode'), response.headers.has(header)]).toEqual(['tier', false])
      await response.text()
      expect((await ledgerOf(db, workspaceId)).at(-1)).toMatchObject({ charge_mode: 'tier', output_tokens: 6_000 })
    } finally {
      await db.owner.query(`UPDATE plans SET credit_overage = 'stop' WHERE id = 'credits'`)
    }
  })
})

describe('a plan that bills what goes beyond its credits, where others take the room again and again', () => {
  test('bills the call in the end, rather than tell the caller to come back', async () => {
    const { rows } = await db.owner.query(
      `SELECT pg_get_functiondef('metering.take_credits(uuid,uuid,bigint,text,text,boolean)'::regprocedure) AS text`,
    )
    await db.owner.query(`UPDATE plans SET credit_overage = 'bill' WHERE id = 'credits'`)
    await db.owner.query(`CREATE OR REPLACE FUNCTION metering.take_credits(workspace uuid, subject uuid, amount bigint, transfer_kind text,
      target text, whole boolean) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'`)
    try {
      const { token } = await onCredits(10n * USD)
      const response = await ask(token)
      await response.text()
      expect([response.status, response.headers.get('x-keymargin-charge-mode')]).toEqual([200, 'tier'])
    } finally {
      await db.owner.query(rows[0].text)
      await db.owner.query(`UPDATE plans SET credit_overage = 'stop' WHERE id = 'credits'`)
    }
  })
})

describe('under a hard budget', () => {
  const budget = { name: 'Cap', scope: 'workspace', scopeId: '', period: 'day', hard: true } as const

  test('the limit fits into it, and a reply as long as that leaves it within its limit', async () => {
    const customer = await makeCustomer({ key: null })
    const limitPico = priceOf(2_000, 5_000)
    await createBudget(customer.owner, { ...budget, countsOwnKey: false, limit: picoToUsd(limitPico) })
    writes(1_000_000)
    const response = await ask(customer.token)
    expect(response.headers.get(header)).toBe('4096')
    await response.text()
    const { rows } = await db.owner.query(
      'SELECT spent_pico::text AS spent FROM metering.budget_spend WHERE workspace_id = $1',
      [customer.workspaceId],
    )
    expect(BigInt(rows[0].spent)).toBe(priceOf(10, 4_096))
    expect(BigInt(rows[0].spent)).toBeLessThanOrEqual(limitPico)
  })

  test('that does not count the call nothing is added', async () => {
    const customer = await makeCustomer()
    await createBudget(customer.owner, {
      ...budget,
      scope: 'token',
      scopeId: await otherToken(customer),
      countsOwnKey: true,
      limit: '1',
    })
    writes(20_000)
    const response = await ask(customer.token)
    expect(response.headers.has(header)).toBe(false)
    expect((await response.json()).usage.completion_tokens).toBe(20_000)
  })
})

async function otherToken({ owner, workspaceId }: Customer): Promise<string> {
  await makeGatewayToken(owner)
  const { rows } = await db.owner.query(
    'SELECT id::text FROM gateway_tokens WHERE workspace_id = $1 ORDER BY created_at DESC LIMIT 1',
    [workspaceId],
  )
  return rows[0].id
}
