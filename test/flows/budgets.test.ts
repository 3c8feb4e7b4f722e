/** Budgets: what they count, when they refuse, and that nothing gets past them. */
import { afterEach, describe, expect, test } from 'vitest'
import type { BudgetPeriod, BudgetScope } from '#app/domain/budgets/budgets.ts'
import { windowStart } from '#app/domain/budgets/budgets.ts'
import { listBudgetChoices, listBudgets } from '#app/domain/budgets/queries.server.ts'
import { changeBudget, createBudget } from '#app/domain/budgets/set-budget.server.ts'
import { type Opening, openAttempts } from '#app/domain/ledger/open-attempts.server.ts'
import { type GenerationReader, sweepAttempts } from '#app/domain/ledger/sweep-attempts.server.ts'
import { idTime } from '#app/platform/ids.ts'
import { chat, creditOpening, openWith } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { makeGatewayToken, makeMember } from '#test/factories.ts'
import { ledgerOf, makeCustomer, openAttemptsOf, until, useGateway } from '#test/gateway.ts'
import { endSecondGateways, startSecondGateway } from '#test/second-gateway.ts'
import { budget, only, platformCustomer } from './budgets-ground.ts'

const db = useDatabase()
const gateway = useGateway(db)
endSecondGateways()
/** cost_effective, in USD: input 0.0000006, output 0.0000036 per token. */
const usdOf = (pico: bigint) => `${pico / 1_000_000_000_000n}.${String(pico % 1_000_000_000_000n).padStart(12, '0')}`
const priceOf = (input: number, output: number) => BigInt(input) * 600_000n + BigInt(output) * 3_600_000n
const later = (ms: number) => new Date(Date.now() + ms)
const reply = (input: number, output: number, cost = '0.000001', times = 1) =>
  gateway.sandbox.fault({ scenario: { input, output, cost }, times })

const tokenId = async (workspaceId: string) =>
  (
    await db.owner.query('SELECT id::text FROM gateway_tokens WHERE workspace_id = $1 ORDER BY created_at', [
      workspaceId,
    ])
  ).rows[0].id

afterEach(async () => {
  expect(await openAttemptsOf(db)).toBe(0)
  const { rows } = await db.owner.query('SELECT count(*)::int AS left FROM metering.budget_reservations')
  expect(rows[0].left).toBe(0)
})

describe('a hard budget', () => {
  const scopes: BudgetScope[] = ['workspace', 'token', 'member', 'key']
  const periods: BudgetPeriod[] = ['day', 'week', 'month', 'billing_month']
  const all = scopes.flatMap((scope) => periods.map((period) => [scope, period] as const))

  test('of 0 is not to be got under by asking for less', async () => {
    const { owner, token } = await makeCustomer()
    await createBudget(owner, budget({ name: 'Closed', limit: '0' }))
    const { error } = await (await chat(gateway, token, { maxTokens: 10 })).json()
    expect(error.message).toMatch(/'Closed' for .*\. It is 0: have it raised under Settings → Budgets\.$/)
  })

  test.each(all)(
    'per %s and %s refuses with 402 budget_exceeded what does not fit, and names itself',
    async (scope, period) => {
      const customer = await makeCustomer({ planId: 'enterprise', key: scope === 'key' ? undefined : null })
      const { owner, workspaceId, token } = customer
      const { keys } = await listBudgetChoices(owner)
      const ids = { workspace: '', token: await tokenId(workspaceId), member: owner.actor.id, key: keys[0]?.id ?? '' }
      const limit = scope === 'key' ? '0.0001' : usdOf(priceOf(30, 20))
      await createBudget(
        owner,
        budget({ name: 'Nightly', scope, scopeId: ids[scope], period, limit, countsOwnKey: true }),
      )
      reply(5, 10, '0.000004')
      expect((await chat(gateway, token, { maxTokens: 10 })).status).toBe(200)
      const sent = gateway.sandbox.chats().length
      const response = await chat(gateway, token, { maxTokens: 4_000 })
      const { error } = await response.json()
      expect([response.status, error.code]).toEqual([402, 'budget_exceeded'])
      expect(error.message).toContain("'Nightly'")
      expect(gateway.sandbox.chats().length).toBe(sent)
      // Nobody else's calls fall under it.
      const other = await makeGatewayToken(await makeMember(workspaceId, 'owner'))
      const free = await chat(gateway, other, { maxTokens: 4_000 })
      expect(free.status).toBe(scope === 'workspace' || scope === 'key' ? 402 : 200)
      await free.text()
    },
  )

  test('64 calls at once from two gateways never come to more than the limit where output is bounded', async () => {
    const { owner, workspaceId, token } = await platformCustomer()
    const limitPico = priceOf(40, 10) * 10n
    await createBudget(owner, budget({ limit: usdOf(limitPico) }))
    const both = [gateway, await startSecondGateway(db, gateway)]
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, at) => chat(both[at % 2] ?? gateway, token, { maxTokens: 10 })),
    )
    const statuses = await Promise.all(answers.map((answer) => answer.text().then(() => answer.status)))
    expect(new Set(statuses)).toEqual(new Set([200, 402]))
    const { spentPico, reservedPico } = await only(owner)
    const charged = (await ledgerOf(db, workspaceId)).reduce((sum, call) => sum + call.charge_pico, 0n)
    expect([spentPico, reservedPico]).toEqual([charged, 0n])
    expect(spentPico <= limitPico).toBe(true)
  })

  test('batches whose calls fall under the same budgets in another order never wait for each other in a circle', async () => {
    const { owner, workspaceId } = await platformCustomer()
    const tokens: string[] = []
    for (let at = 0; at < 3; at += 1) {
      await makeGatewayToken(owner, `token ${at}`)
      const { rows } = await db.owner.query(
        'SELECT id::text FROM gateway_tokens WHERE workspace_id = $1 AND name = $2',
        [workspaceId, `token ${at}`],
      )
      tokens.push(rows[0].id)
    }
    for (const id of tokens) await createBudget(owner, budget({ scope: 'token', scopeId: id, limit: '1000' }))
    await createBudget(owner, budget({ limit: '1000' }))
    const epoch = (await db.owner.query('SELECT key_epoch::text FROM workspaces WHERE id = $1', [workspaceId])).rows[0]
      .key_epoch
    const opening = (id: string | undefined): Opening =>
      creditOpening({
        workspaceId,
        tokenId: id ?? null,
        chargeMode: 'tier',
        keyEpoch: BigInt(epoch),
        mostChargePico: 5n,
      })
    const openAll = async (order: number[]) => {
      expect(await openAttempts(order.map((at) => opening(tokens[at])))).toEqual(['opened', 'opened', 'opened'])
    }
    const orders = [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
      [2, 0, 1],
    ]
    for (let round = 0; round < 25; round += 1) await Promise.all(orders.map(openAll))
    const { rows } = await db.owner.query('SELECT count(*)::int AS open FROM metering.attempts')
    expect(rows[0].open).toBe(300)
    await sweepAttempts(async () => ({ kind: 'refused' }), later(21 * 60_000))
    await until(async () => {
      await sweepAttempts(async () => ({ kind: 'refused' }), later(21 * 60_000))
      return (await openAttemptsOf(db)) === 0
    }, 'all swept')
  })

  test('gives back what a failed call had reserved, and what a killed process had', async () => {
    const { owner, workspaceId, token } = await platformCustomer()
    await createBudget(owner, budget({ limit: usdOf(priceOf(40, 100)) }))
    gateway.sandbox.fault({ scenario: { error: 503 } })
    expect((await chat(gateway, token, { maxTokens: 90 })).status).toBeGreaterThanOrEqual(500)
    expect(await only(owner)).toMatchObject({ spentPico: 0n, reservedPico: 0n })
    const epoch = (await db.owner.query('SELECT key_epoch::text FROM workspaces WHERE id = $1', [workspaceId])).rows[0]
      .key_epoch
    const dead = { workspaceId, chargeMode: 'tier', keyEpoch: BigInt(epoch), mostChargePico: priceOf(40, 100) } as const
    expect(await openWith(dead)).toBe('opened')
    expect((await only(owner)).reservedPico).toBe(priceOf(40, 100))
    expect((await chat(gateway, token, { maxTokens: 1 })).status).toBe(402)
    const refused: GenerationReader = async () => ({ kind: 'refused' })
    await sweepAttempts(refused, later(21 * 60_000))
    expect((await only(owner)).reservedPico).toBe(0n)
    reply(1, 1)
    expect((await chat(gateway, token, { maxTokens: 1 })).status).toBe(200)
  })
})

describe('what a budget counts', () => {
  test('on the workspace’s own key: the margin always, what the provider billed only where that is asked for', async () => {
    const { owner, token, workspaceId } = await makeCustomer({ planId: 'enterprise' })
    await createBudget(owner, budget({ name: 'Charges', hard: false, limit: '1' }))
    await createBudget(owner, budget({ name: 'Everything', hard: false, limit: '1', countsOwnKey: true }))
    reply(100, 100, '0.0001')
    await (await chat(gateway, token)).text()
    const [call] = await ledgerOf(db, workspaceId)
    const spent = Object.fromEntries((await listBudgets(owner)).map(({ name, spentPico }) => [name, spentPico]))
    expect(call?.raw_cost_pico).toBe(100_000_000n)
    expect(spent).toEqual({ Charges: call?.charge_pico, Everything: call?.charge_pico + 100_000_000n })
  })

  test('a budget made in the middle of its window begins with what was spent in it, for its scope alone', async () => {
    const { owner, token, workspaceId } = await platformCustomer()
    const second = await makeMember(workspaceId, 'owner')
    const other = await makeGatewayToken(second)
    reply(10, 10, '0.000001', 3)
    for (const each of [token, token, other]) await (await chat(gateway, each)).text()
    const one = priceOf(10, 10)
    const made = { hard: false, limit: '1' }
    await createBudget(owner, budget({ ...made, name: 'a', period: 'month' }))
    await createBudget(owner, budget({ ...made, name: 'b', period: 'billing_month' }))
    await createBudget(owner, budget({ ...made, name: 'c', scope: 'token', scopeId: await tokenId(workspaceId) }))
    await createBudget(owner, budget({ ...made, name: 'd', scope: 'member', scopeId: second.actor.id, period: 'week' }))
    const spent = () =>
      listBudgets(owner).then((rows) => Object.fromEntries(rows.map((row) => [row.name, row.spentPico])))
    expect(await spent()).toEqual({ a: 3n * one, b: 3n * one, c: 2n * one, d: one })
    reply(10, 10)
    await (await chat(gateway, other)).text()
    expect(await spent()).toEqual({ a: 4n * one, b: 4n * one, c: 2n * one, d: 2n * one })
  })

  test('one that was switched off and on again has counted what happened meanwhile', async () => {
    const { owner, token } = await platformCustomer()
    await createBudget(owner, budget({ hard: false, limit: '1' }))
    const { id } = await only(owner)
    const terms = { id, name: 'Test', limit: '1', hard: false, countsOwnKey: false }
    await changeBudget(owner, { ...terms, enabled: false })
    reply(10, 10)
    await (await chat(gateway, token)).text()
    expect((await only(owner)).spentPico).toBe(0n)
    await changeBudget(owner, { ...terms, enabled: true })
    expect((await only(owner)).spentPico).toBe(priceOf(10, 10))
  })

  test('a soft one refuses nothing', async () => {
    const { owner, token } = await platformCustomer()
    await createBudget(owner, budget({ hard: false, limit: '0' }))
    reply(10, 10)
    expect((await chat(gateway, token, { maxTokens: 4_000 })).status).toBe(200)
    expect((await only(owner)).percent).toBe(100)
  })

  test.each<[BudgetPeriod, string]>([
    ['day', '2028-02-29T23:59:59.999Z'],
    ['day', '2028-03-01T00:00:00.000Z'],
    ['week', '2026-11-22T23:59:59.999Z'],
    ['week', '2026-11-23T00:00:00.000Z'],
    ['month', '2028-02-29T23:59:59.999Z'],
    ['month', '2026-12-31T23:59:59.999Z'],
    ['month', '2027-01-01T00:00:00.000Z'],
  ])('the %s of %s is the same window here and in the database', async (period, at) => {
    const { workspaceId } = await platformCustomer()
    const { rows } = await db.owner.query('SELECT metering.budget_window($1, $2, $3::timestamptz)::text AS day', [
      period,
      workspaceId,
      at,
    ])
    expect(rows[0].day).toBe(windowStart(period as 'day', new Date(at)))
  })

  test('a call of the last millisecond of a day counts for that day, whenever it is settled', async () => {
    const { owner, workspaceId } = await platformCustomer()
    await createBudget(owner, budget({ limit: '1' }))
    const { id } = await only(owner)
    const epoch = (await db.owner.query('SELECT key_epoch::text FROM workspaces WHERE id = $1', [workspaceId])).rows[0]
      .key_epoch
    const midnight = new Date(new Date().toISOString().slice(0, 10))
    const before = new Date(midnight.getTime() - 1)
    await db.owner.query('SELECT metering.ensure_month_partition($1::date)', [before.toISOString().slice(0, 10)])
    const opening = creditOpening({ workspaceId, chargeMode: 'tier', keyEpoch: BigInt(epoch), mostChargePico: 7n })
    const hex = before.getTime().toString(16).padStart(12, '0')
    const late = `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${opening.id.slice(-12)}`
    expect(idTime(late)).toEqual(before)
    expect(await openWith({ ...opening, id: late, dispatchedAt: before })).toBe('opened')
    const { rows } = await db.owner.query(
      'SELECT window_start::text AS day FROM metering.budget_reservations WHERE budget_id = $1',
      [id],
    )
    expect(rows).toEqual([{ day: windowStart('day', before) }])
    await sweepAttempts(async () => ({ kind: 'refused' }), later(21 * 60_000))
    expect(await only(owner)).toMatchObject({ windowStart: windowStart('day', midnight), spentPico: 0n })
  })
})
