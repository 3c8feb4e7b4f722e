/** A budget as tests make it, and a workspace to make it in. */
import { listBudgets } from '#app/domain/budgets/queries.server.ts'
import type { NewBudget } from '#app/domain/budgets/set-budget.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import { type Customer, makeCustomer } from '#test/gateway.ts'

export const budget = (over: Partial<NewBudget> = {}): NewBudget => ({
  ...{ name: 'Test', scope: 'workspace', scopeId: '', period: 'day', limit: '1', hard: true, countsOwnKey: false },
  ...over,
})

export async function only(ctx: Ctx) {
  const [row] = await listBudgets(ctx)
  if (!row) throw new Error('no budget')
  return row
}

export const platformCustomer = (): Promise<Customer> => makeCustomer({ key: null, planId: 'pro' })
