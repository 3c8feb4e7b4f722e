/** Budgets: whom they tell and when, who may change them, and what is refused. */
import { afterEach, describe, expect, test } from 'vitest'
import { listBudgetChoices, listBudgets } from '#app/domain/budgets/queries.server.ts'
import { changeBudget, createBudget, type NewBudget, removeBudget } from '#app/domain/budgets/set-budget.server.ts'
import { tellOfBudgets } from '#app/domain/budgets/tell-of-budgets.server.ts'
import { chat } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { makeMember } from '#test/factories.ts'
import { openAttemptsOf, until, useGateway } from '#test/gateway.ts'
import { budget, only, platformCustomer } from './budgets-ground.ts'

const db = useDatabase()
const gateway = useGateway(db)
const reply = (input: number, output: number, cost = '0.000001', times = 1) =>
  gateway.sandbox.fault({ scenario: { input, output, cost }, times })

afterEach(async () => {
  expect(await openAttemptsOf(db)).toBe(0)
  const { rows } = await db.owner.query('SELECT count(*)::int AS left FROM metering.budget_reservations')
  expect(rows[0].left).toBe(0)
})

describe('what people are told', () => {
  const notices = async (workspaceId: string) => {
    const { rows } = await db.owner.query(
      "SELECT reference, title, dismissed_at IS NULL AS open FROM notices WHERE workspace_id = $1 AND kind = 'budget' ORDER BY raised_at, id",
      [workspaceId],
    )
    return rows.map(({ reference, title, open }) => ({ mark: reference.split(':').at(-1), title, open }))
  }
  const spend = (workspaceId: string, pico: bigint) =>
    db.owner.query('UPDATE metering.budget_spend SET spent_pico = $2 WHERE workspace_id = $1', [
      workspaceId,
      pico.toString(),
    ])

  test('50, 80 and 100 %, each once per window; a raised limit is told of again', async () => {
    const { owner, workspaceId } = await platformCustomer()
    await createBudget(owner, budget({ hard: false, limit: '10', name: 'Monthly', period: 'month' }))
    const USD = 1_000_000_000_000n
    const told: [bigint, string[]][] = [
      [5n * USD - 1n, []],
      [5n * USD, ['50']],
      [6n * USD, ['50']],
      [8n * USD, ['50', '80']],
      [25n * USD, ['50', '80', '100']],
      [26n * USD, ['50', '80', '100']],
    ]
    for (const [pico, marks] of told) {
      await spend(workspaceId, pico)
      await Promise.all([tellOfBudgets(new Date()), tellOfBudgets(new Date())])
      expect((await notices(workspaceId)).map(({ mark }) => mark)).toEqual(marks)
    }
    expect((await notices(workspaceId)).filter(({ open }) => open)).toEqual([
      { mark: '100', title: 'A budget has reached 100 %', open: true },
    ])
    const { id } = await only(owner)
    await changeBudget(owner, { id, name: 'Monthly', limit: '50', hard: false, countsOwnKey: false, enabled: true })
    await db.owner.query("UPDATE notices SET raised_at = raised_at - interval '41 days' WHERE workspace_id = $1", [
      workspaceId,
    ])
    await spend(workspaceId, 40n * USD)
    await tellOfBudgets(new Date())
    expect((await notices(workspaceId)).filter(({ open }) => open)).toMatchObject([{ mark: '80' }])
  })

  test('the first refusal of a window, and not every one', async () => {
    const { owner, workspaceId, token } = await platformCustomer()
    await createBudget(owner, budget({ limit: '0' }))
    for (let at = 0; at < 3; at += 1) expect((await chat(gateway, token)).status).toBe(402)
    await until(async () => (await notices(workspaceId)).length > 0, 'the refusal was told')
    expect(await notices(workspaceId)).toEqual([{ mark: 'refused', title: 'A budget has refused a call', open: true }])
    await tellOfBudgets(new Date())
    expect(await notices(workspaceId)).toMatchObject([{ open: true }])
    await removeBudget(owner, { id: (await only(owner)).id })
    await tellOfBudgets(new Date())
    expect(await notices(workspaceId)).toMatchObject([{ open: false }])
  })
})

describe('who may change budgets, and what is refused', () => {
  test('a removed budget holds for no call from the next one on; every change is in the audit trail', async () => {
    const { owner, workspaceId, token } = await platformCustomer()
    const id = await createBudget(owner, budget({ limit: '0' }))
    expect((await chat(gateway, token)).status).toBe(402)
    await removeBudget(owner, { id })
    reply(1, 1)
    expect((await chat(gateway, token)).status).toBe(200)
    const { rows } = await db.owner.query(
      "SELECT action FROM audit_events WHERE workspace_id = $1 AND action LIKE 'budget.%' ORDER BY seq",
      [workspaceId],
    )
    expect(rows.map(({ action }) => action)).toEqual(['budget.created', 'budget.removed'])
    await expect(removeBudget(owner, { id })).rejects.toMatchObject({ kind: 'not_found' })
  })

  test('members read, and change nothing', async () => {
    const { owner, workspaceId } = await platformCustomer()
    const id = await createBudget(owner, budget())
    for (const role of ['member', 'developer'] as const) {
      const person = await makeMember(workspaceId, role)
      expect(await listBudgets(person)).toHaveLength(1)
      await expect(createBudget(person, budget())).rejects.toMatchObject({ kind: 'forbidden' })
      await expect(removeBudget(person, { id })).rejects.toMatchObject({ kind: 'forbidden' })
      await expect(listBudgetChoices(person)).rejects.toMatchObject({ kind: 'forbidden' })
    }
    const stranger = (await platformCustomer()).owner
    await expect(removeBudget(stranger, { id })).rejects.toMatchObject({ kind: 'not_found' })
  })

  test.each<[string, Partial<NewBudget>]>([
    ['name', { name: ' ' }],
    ['name', { name: 'x'.repeat(61) }],
    ['limit', { limit: '-1' }],
    ['limit', { limit: '1000000.01' }],
    ['limit', { limit: 'ten' }],
    ['scopeId', { scopeId: 'x' }],
    ['scopeId', { scope: 'token', scopeId: '' }],
    ['scopeId', { scope: 'key', scopeId: 'x' }],
    ['scopeId', { scope: 'member', scopeId: 'nobody' }],
  ])('names the wrong field %s of %o', async (field, over) => {
    const { owner } = await platformCustomer()
    await expect(createBudget(owner, budget(over))).rejects.toMatchObject({ field, code: 'invalid_budget' })
    expect(await listBudgets(owner)).toEqual([])
  })
})
