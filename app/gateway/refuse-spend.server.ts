import { tellOfRefusal } from '#app/domain/budgets/tell-of-budgets.server.ts'
import { inBackground } from '#app/platform/background.server.ts'
import { systemPool } from '#app/platform/db.server.ts'
import { log } from '#app/platform/log.server.ts'
import type { Call } from './call.ts'
import { GatewayError } from './gateway-error.ts'

/** What stood against a call: the workspace's credits, or one of its budgets. */
export type NoRoom = 'credits' | `budget:${string}`

const windows: Record<string, string> = {
  day: 'today (UTC)',
  week: 'this week (UTC)',
  month: 'this month (UTC)',
  billing_month: 'this billing month',
}

const paymentRequired = (code: string, message: string) =>
  new GatewayError(402, code, message, { type: 'invalid_request_error' })

/** The answer to a call that there is no room for. 402: trying again does not help before somebody makes room. */
export async function spendRefusal(call: Call, noRoom: NoRoom): Promise<GatewayError> {
  const { workspaceId } = call.dispatch
  if (noRoom === 'credits')
    return paymentRequired(
      'insufficient_credits',
      'The workspace has not enough credits for what this call may come to. Buy credits under Settings → Credits, save a provider key under Settings → Billing, or ask for less output.',
    )
  const budgetId = noRoom.slice('budget:'.length)
  inBackground(
    tellOfRefusal(workspaceId, budgetId, new Date()).catch((error: Error) =>
      log.error({ reason: error.message }, 'the refusal of a budget could not be told'),
    ),
  )
  const { rows } = await systemPool().query<{ name: string; period: string; isNothing: boolean }>(
    'SELECT name, period, limit_amount = 0 AS "isNothing" FROM budgets WHERE workspace_id = $1::uuid AND id = $2::uuid',
    [workspaceId, budgetId],
  )
  const [budget] = rows
  const named = budget
    ? `the budget '${budget.name}' for ${windows[budget.period] ?? 'its period'}`
    : 'a budget of the workspace'
  const wayOut = budget?.isNothing ? 'It is 0: have' : 'Ask for less output, or have'
  return paymentRequired(
    'budget_exceeded',
    `What this call may come to does not fit into ${named}. ${wayOut} it raised under Settings → Budgets.`,
  )
}
