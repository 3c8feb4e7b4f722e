import type { MetaFunction } from '@remix-run/node'
import { useActionData, useLoaderData } from '@remix-run/react'
import { z } from 'zod'
import { type BudgetScope, budgetPeriods, budgetScopes } from '#app/domain/budgets/budgets.ts'
import { listBudgetChoices, listBudgets } from '#app/domain/budgets/queries.server.ts'
import { changeBudget, createBudget, removeBudget } from '#app/domain/budgets/set-budget.server.ts'
import { allows } from '#app/domain/permissions/permissions.ts'
import { intent, workspaceAction, workspaceLoader } from '#app/http/route.server.ts'
import { type BudgetsAnswer, BudgetsPage } from '#app/ui/budgets/budgets-page.tsx'
import { type BudgetsView, toBudgetsView } from '#app/ui/budgets/budgets-view.ts'

export { ErrorPage as ErrorBoundary } from '#app/ui/error-page.tsx'

export const meta: MetaFunction = () => [{ title: 'Budgets · Keymargin' }]

export const loader = workspaceLoader('read:Workspace', async ({ ctx }, { request }) => {
  const canManage = allows(ctx.ability, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const [rows, choices] = await Promise.all([listBudgets(ctx), canManage ? listBudgetChoices(ctx) : null])
  return toBudgetsView(rows, choices, new URL(request.url).searchParams.get('edit'))
})

const demand = 'manage:Billing' as const
/** A box that is not ticked is not sent. */
const ticked = z
  .literal('on')
  .optional()
  .transform((value) => value === 'on')
const terms = { name: z.string(), limit: z.string(), hard: ticked, countsOwnKey: ticked }
const target = z
  .string()
  .regex(/^(?:workspace|token|member|key):/)
  .transform((text) => {
    const at = text.indexOf(':')
    return { scope: text.slice(0, at) as BudgetScope, scopeId: text.slice(at + 1) }
  })
  .refine(({ scope }) => budgetScopes.includes(scope))

export const action = workspaceAction({
  'create-budget': intent({
    demand,
    schema: z.strictObject({ ...terms, target, period: z.enum(budgetPeriods) }),
    run: async (ctx, { target: { scope, scopeId }, ...given }) => {
      await createBudget(ctx, { ...given, scope, scopeId })
      return { message: 'Budget made. It holds from the next call on.' }
    },
  }),
  'change-budget': intent({
    demand,
    schema: z.strictObject({ id: z.string(), ...terms, enabled: z.enum(['on', 'off']) }),
    run: async (ctx, { enabled, ...given }) => {
      await changeBudget(ctx, { ...given, enabled: enabled === 'on' })
      return { message: enabled === 'on' ? 'Saved. It holds from the next call on.' : 'Budget switched off.' }
    },
  }),
  'remove-budget': intent({
    demand,
    schema: z.strictObject({ id: z.string() }),
    run: async (ctx, input) => {
      await removeBudget(ctx, input)
      return { message: 'Budget removed.' }
    },
  }),
})

export default function Budgets() {
  return <BudgetsPage view={useLoaderData<BudgetsView>()} answer={useActionData<BudgetsAnswer>()} />
}
