/** A budget is in the currency that its workspace is billed in, and says so; amounts in two currencies are never added. */
import { beforeAll, describe, expect, test } from 'vitest'
import { setWorkspaceCurrency } from '#app/domain/billing/set-currency.server.ts'
import { listBudgetChoices, listBudgets } from '#app/domain/budgets/queries.server.ts'
import { changeBudget, createBudget, removeBudget } from '#app/domain/budgets/set-budget.server.ts'
import { tellOfBudgets } from '#app/domain/budgets/tell-of-budgets.server.ts'
import { abilityFor, type OperatorCtx } from '#app/domain/permissions/permissions.ts'
import { forgetCatalogue } from '#app/domain/pricing/queries.server.ts'
import { toBudgetsView } from '#app/ui/budgets/budgets-view.ts'
import { chat } from '#test/credit-ground.ts'
import { useDatabase } from '#test/database.ts'
import { type Customer, makeCustomer, useGateway } from '#test/gateway.ts'

const db = useDatabase()
const gateway = useGateway(db)
const operator: OperatorCtx = {
  actor: { kind: 'operator', id: 'operator-1' },
  ability: abilityFor({ role: null, workspaceId: null, isOperator: true }),
  now: () => new Date(),
  requestId: 'flow',
}
const terms = { name: 'Cap', limit: '0.001', hard: true, countsOwnKey: false }
const whole = { ...terms, scope: 'workspace', scopeId: '', period: 'day' } as const

/** Euros: half a cent per thousand tokens of output, and nothing for input. */
beforeAll(async () => {
  await db.owner.query(`
    INSERT INTO plans (id, preset, name, rank, platform_charge_mode, workspace_charge_mode) VALUES ('euro', 'pass-through', 'Euro', 1, 'tier', 'pass_through');
    INSERT INTO price_books (version, currency, effective_from, published_at) VALUES (70, 'eur', '2026-01-01', now());
    INSERT INTO tier_prices (price_book_version, tier, input_usd, output_usd) VALUES (70, 'cost_effective', 0, 0.000005)`)
  forgetCatalogue()
})

async function inEuros(): Promise<Customer> {
  const customer = await makeCustomer({ key: null, planId: 'euro' })
  await db.owner.query(`UPDATE workspaces SET currency = 'eur' WHERE id = $1`, [customer.workspaceId])
  return customer
}

describe('a workspace that is billed in euros', () => {
  test('has its limit, what is spent and what its people are told in euros', async () => {
    const { owner, token, workspaceId } = await inEuros()
    await createBudget(owner, { ...whole, limit: '€0.001' })
    gateway.sandbox.fault({ scenario: { output: 160, input: 10, cost: '0.5' } })
    expect((await chat(gateway, token, { maxTokens: 160 })).status).toBe(200)
    const [row] = await listBudgets(owner)
    expect(row).toMatchObject({ limit: '0.001', currency: 'eur', limitPico: 1_000_000_000n, spentPico: 800_000_000n })
    expect((await chat(gateway, token, { maxTokens: 160 })).status).toBe(402)
    const view = toBudgetsView([row as never], await listBudgetChoices(owner), null)
    expect(view).toMatchObject({ currency: 'EUR', budgets: [{ currency: 'EUR', spent: '€0.0008', limit: '€0.001' }] })
    await tellOfBudgets(new Date())
    const { rows } = await db.owner.query('SELECT message FROM notices WHERE workspace_id = $1 ORDER BY title', [
      workspaceId,
    ])
    expect(rows.map(({ message }) => message).join(' ')).toContain('€0.0008 of €0.001')
    expect(rows.map(({ message }) => message).join(' ')).not.toContain('$')
  })

  test('cannot have what its providers bill in USD counted, not later either', async () => {
    const { owner } = await inEuros()
    const refused = { code: 'invalid_budget', field: 'countsOwnKey', message: expect.stringContaining('EUR') }
    await expect(createBudget(owner, { ...whole, countsOwnKey: true })).rejects.toMatchObject(refused)
    const id = await createBudget(owner, whole)
    await expect(changeBudget(owner, { ...terms, id, enabled: true, countsOwnKey: true })).rejects.toMatchObject(
      refused,
    )
    await expect(db.owner.query('UPDATE budgets SET counts_own_key = true WHERE id = $1', [id])).rejects.toThrow(
      'budget_of_one_currency',
    )
  })
})

test('a currency is not changed under a budget: its limit would mean something else', async () => {
  const { owner, workspaceId } = await makeCustomer({ key: null, planId: 'euro' })
  const { rows } = await db.owner.query('SELECT slug FROM workspaces WHERE id = $1', [workspaceId])
  const toEuro = () => setWorkspaceCurrency(operator, { workspace: rows[0].slug, currency: 'eur' })
  const id = await createBudget(owner, { ...whole, countsOwnKey: true })
  await expect(toEuro()).rejects.toMatchObject({ kind: 'conflict', code: 'currency_has_budgets' })
  expect(await listBudgets(owner)).toMatchObject([{ currency: 'usd' }])
  await removeBudget(owner, { id })
  await toEuro()
})
