import { type AuditDetail, changedDetail } from '#app/domain/audit/audit.ts'
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { lockWorkspace } from '#app/domain/workspaces/change-plan.server.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { isId, newId } from '#app/platform/ids.ts'
import { parsePico } from '#app/platform/pico.ts'
import { scrubSecrets } from '#app/platform/secret-patterns.ts'
import { type BudgetPeriod, type BudgetScope, markReached, percentOf, readLimit } from './budgets.ts'
import {
  beginWindow,
  type CountedBefore,
  type Counts,
  countBefore,
  lockSpending,
} from './internal/begin-window.server.ts'

/** Budgets that a workspace may have: each is held against every call. */
const mostBudgets = 50
const longestName = 60

const refuse = (field: string, text: string) => new AppError('bad_request', 'invalid_budget', text, { field })

/** What may be changed of a budget later. What it counts for whom is fixed: that would be another budget. */
export interface BudgetTerms {
  name: string
  /** As typed, in the currency that the workspace is billed in. */
  limit: string
  hard: boolean
  /** Whether what the provider bills the workspace's own key counts too. */
  countsOwnKey: boolean
}

export interface NewBudget extends BudgetTerms {
  scope: BudgetScope
  /** Id of the token, member or key; empty for the workspace. */
  scopeId: string
  period: BudgetPeriod
}

function checked({ name, limit, hard, countsOwnKey }: BudgetTerms) {
  const called = name.trim()
  if (!called || called.length > longestName || /[\p{Cc}\p{Cf}\p{Cs}]/u.test(called) || scrubSecrets(called) !== called)
    throw refuse('name', `Name it in 1 to ${longestName} characters, such as “Production”.`)
  const limitAmount = readLimit(limit)
  if (limitAmount === null) throw refuse('limit', 'Enter an amount from 0 to 1,000,000, such as 25 or 12.50.')
  return { name: called, limitAmount, hard, countsOwnKey }
}

/** What providers bill is in USD, and cannot be added to charges in another currency. @throws AppError bad_request */
function checkCurrency(currency: string, countsOwnKey: boolean): void {
  if (currency === 'usd' || !countsOwnKey) return
  throw refuse(
    'countsOwnKey',
    `Providers bill in USD and this budget is in ${currency.toUpperCase()}: it counts what is charged here, not what they bill.`,
  )
}

/** @throws AppError bad_request for what does not exist in this workspace */
async function checkScope(
  tx: Tx,
  workspaceId: string,
  { scope, scopeId }: Pick<NewBudget, 'scope' | 'scopeId'>,
): Promise<void> {
  if (scope === 'workspace') {
    if (scopeId !== '') throw refuse('scopeId', 'A budget of the whole workspace names nothing else.')
    return
  }
  const isThere = async () => {
    if (scope === 'member') return (await tx.member.count({ where: { workspaceId, userId: scopeId } })) > 0
    if (!isId(scopeId)) return false
    if (scope === 'token')
      return (await tx.gatewayToken.count({ where: { workspaceId, id: scopeId, revokedAt: null } })) > 0
    return (await tx.providerKey.count({ where: { workspaceId, id: scopeId } })) > 0
  }
  if (!(await isThere())) throw refuse('scopeId', `Choose the ${scope} that it is for.`)
}

/**
 * One change of the workspace's budgets, with its audit row. The epoch is raised: gateways admit calls from memory, and the next
 * one in any process must know (docs/decisions/0011).
 */
async function change(
  ctx: Ctx,
  action: 'created' | 'changed' | 'removed',
  write: (tx: Tx, at: Date, before: CountedBefore | null) => Promise<{ id: string; detail: AuditDetail }>,
  /** What the budget will count; null: nothing is counted anew. */
  countsOf: (tx: Tx) => Promise<Counts | null> = async () => null,
): Promise<string> {
  const { workspaceId, actor } = ctx
  authorize(ctx, 'manage:Billing', { workspaceId })
  const at = ctx.now()
  const before = await inTenant({ workspaceId }, async (tx) => {
    const counts = await countsOf(tx)
    return counts && countBefore(tx, workspaceId, counts)
  })
  return inTenant({ workspaceId }, async (tx) => {
    await lockSpending(tx, workspaceId)
    await lockWorkspace(tx, workspaceId)
    const { id, detail } = await write(tx, at, before)
    const subject = { subjectType: 'budget', subjectId: id }
    await recordAudit(tx, { workspaceId, actor, action: `budget.${action}`, ...subject, detail, at })
    await tx.workspace.update({ where: { id: workspaceId }, data: { keyEpoch: { increment: 1 } } })
    return id
  })
}

/**
 * Makes a budget. It begins with what its window has come to already.
 * @returns its id
 * @throws AppError bad_request `invalid_budget`, conflict `too_many_budgets`
 */
export function createBudget(ctx: Ctx, given: NewBudget): Promise<string> {
  const { scope, scopeId, period, countsOwnKey } = given
  const counts = { scope, scopeId, period, countsOwnKey }
  const create = async (tx: Tx, at: Date, before: CountedBefore | null) => {
    const { workspaceId } = ctx
    const terms = checked(given)
    await checkScope(tx, workspaceId, given)
    if ((await tx.budget.count({ where: { workspaceId } })) >= mostBudgets)
      throw new AppError(
        'conflict',
        'too_many_budgets',
        `A workspace has at most ${mostBudgets} budgets. Remove one first.`,
      )
    const id = newId(at)
    // The workspace is locked: its currency stays as it is until this is done.
    const { currency } = await tx.workspace.findUniqueOrThrow({
      where: { id: workspaceId },
      select: { currency: true },
    })
    checkCurrency(currency, terms.countsOwnKey)
    const row = { ...terms, currency, scope, scopeId, period, createdBy: ctx.actor.id, updatedAt: at }
    await tx.budget.create({ data: { workspaceId, id, ...row } })
    await beginWindow(tx, workspaceId, id, counts, before)
    return { id, detail: { ...terms, currency, scope, scopeId, period } }
  }
  return change(ctx, 'created', create, async (tx) => {
    checked(given)
    await checkScope(tx, ctx.workspaceId, given)
    return counts
  })
}

/**
 * Changes a budget's terms, or switches it off and on. What was spent is counted anew where what counts has changed; what its
 * people were told is taken back as far as the new limit makes it untrue, so that they are told again.
 * @throws AppError bad_request `invalid_budget`, not_found
 */
export async function changeBudget(ctx: Ctx, given: BudgetTerms & { id: string; enabled: boolean }): Promise<void> {
  const { workspaceId } = ctx
  const { id, enabled } = given
  const find = async (tx: Tx) => {
    const row = isId(id) ? await tx.budget.findUnique({ where: { workspaceId_id: { workspaceId, id } } }) : null
    if (!row) throw notFound('Budget')
    return row
  }
  const countsOf = ({ scope, scopeId, period }: { scope: string; scopeId: string; period: string }): Counts => ({
    ...{ scope: scope as BudgetScope, scopeId, period: period as BudgetPeriod, countsOwnKey: given.countsOwnKey },
  })
  const isCountedAnew = (before: { enabled: boolean; countsOwnKey: boolean }) =>
    enabled && (!before.enabled || before.countsOwnKey !== given.countsOwnKey)
  const write = async (tx: Tx, at: Date, counted: CountedBefore | null) => {
    const terms = checked(given)
    const before = await find(tx)
    checkCurrency(before.currency, terms.countsOwnKey)
    await tx.budget.update({
      where: { workspaceId_id: { workspaceId, id } },
      data: { ...terms, enabled, updatedAt: at },
    })
    if (isCountedAnew(before)) await beginWindow(tx, workspaceId, id, countsOf(before), counted)
    await forgetUntrueMarks(tx, workspaceId, id, terms.limitAmount)
    const { name, limitAmount, hard, countsOwnKey, currency } = before
    const was = { name, limitAmount: limitAmount.toFixed(), hard, countsOwnKey, enabled: before.enabled }
    return { id, detail: { ...changedDetail(was, { ...terms, enabled }), currency } }
  }
  await change(ctx, 'changed', write, async (tx) => {
    const before = await find(tx)
    return isCountedAnew(before) ? countsOf(before) : null
  })
}

async function forgetUntrueMarks(tx: Tx, workspaceId: string, id: string, limit: string): Promise<void> {
  const rows = await tx.$queryRaw<{ day: string; spent: string }[]>`
    SELECT window_start::text AS day, spent_pico::text AS spent FROM metering.budget_spend
     WHERE workspace_id = ${workspaceId}::uuid AND budget_id = ${id}::uuid AND told_percent > 0`
  for (const { day, spent } of rows) {
    const reached = markReached(percentOf(BigInt(spent), parsePico(limit) ?? 0n))
    await tx.$executeRaw`
      UPDATE metering.budget_spend SET told_percent = least(told_percent, ${reached}::int)
       WHERE workspace_id = ${workspaceId}::uuid AND budget_id = ${id}::uuid AND window_start = ${day}::date`
  }
}

/** @throws AppError not_found */
export async function removeBudget(ctx: Ctx, { id }: { id: string }): Promise<void> {
  await change(ctx, 'removed', async (tx) => {
    const { workspaceId } = ctx
    const before = isId(id) ? await tx.budget.findUnique({ where: { workspaceId_id: { workspaceId, id } } }) : null
    if (!before) throw notFound('Budget')
    await tx.budget.delete({ where: { workspaceId_id: { workspaceId, id } } })
    await tx.$executeRaw`DELETE FROM metering.budget_spend WHERE workspace_id = ${workspaceId}::uuid AND budget_id = ${id}::uuid`
    return { id, detail: { name: before.name, limitAmount: before.limitAmount.toFixed(), currency: before.currency } }
  })
}
