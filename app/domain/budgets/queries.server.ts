import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { isProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { inTenant } from '#app/platform/db.server.ts'
import type { Pico } from '#app/platform/pico.ts'
import { type BudgetPeriod, type BudgetScope, percentOf, windowEnd } from './budgets.ts'

export interface BudgetRow {
  id: string
  name: string
  scope: BudgetScope
  scopeId: string
  /** Name of the token or member, or the key's provider and hint; null: it is gone, or the scope is the workspace. */
  scopeName: string | null
  period: BudgetPeriod
  /** In the currency, as decimal text. */
  limit: string
  currency: string
  limitPico: Pico
  hard: boolean
  countsOwnKey: boolean
  enabled: boolean
  /** First day of the present window, and the day on which the next begins. UTC. */
  windowStart: string
  windowEnd: string
  spentPico: Pico
  /** What calls under way may come to. */
  reservedPico: Pico
  percent: number
}

interface RawBudget {
  id: string
  name: string
  scope: BudgetScope
  scopeId: string
  scopeName: string | null
  period: BudgetPeriod
  /** In the currency, as decimal text. */
  limit: string
  currency: string
  limitPico: string
  hard: boolean
  countsOwnKey: boolean
  enabled: boolean
  windowStart: string
  spentPico: string
  reservedPico: string
}

/** The workspace's budgets with what their present windows have come to. Every member reads them. */
export async function listBudgets(ctx: Ctx): Promise<BudgetRow[]> {
  const { workspaceId } = ctx
  authorize(ctx, 'read:Workspace', { workspaceId })
  const rows = await inTenant(
    { workspaceId },
    (tx) => tx.$queryRaw<RawBudget[]>`
      SELECT b.id::text, b.name, b.scope, b.scope_id AS "scopeId", b.period, trim_scale(b.limit_amount)::text AS "limit", b.currency,
        trunc(b.limit_amount * 1000000000000)::text AS "limitPico", b.hard, b.counts_own_key AS "countsOwnKey", b.enabled,
        w.day::text AS "windowStart", coalesce(s.spent_pico, 0)::text AS "spentPico",
        (SELECT coalesce(sum(r.amount_pico), 0)::text FROM metering.budget_reservations r
          WHERE r.workspace_id = b.workspace_id AND r.budget_id = b.id AND r.window_start = w.day) AS "reservedPico",
        CASE b.scope
          WHEN 'token' THEN (SELECT t.name FROM gateway_tokens t WHERE t.workspace_id = b.workspace_id AND t.id::text = b.scope_id)
          WHEN 'member' THEN (SELECT u.name FROM users u WHERE u.id = b.scope_id)
          WHEN 'key' THEN (SELECT k.provider || ' ' || k.hint FROM provider_keys k WHERE k.workspace_id = b.workspace_id AND k.id::text = b.scope_id)
        END AS "scopeName"
      FROM budgets b
      CROSS JOIN LATERAL (SELECT metering.budget_window(b.period, b.workspace_id, clock_timestamp()) AS day) w
      LEFT JOIN metering.budget_spend s ON s.workspace_id = b.workspace_id AND s.budget_id = b.id AND s.window_start = w.day
      WHERE b.workspace_id = ${workspaceId}::uuid
      ORDER BY b.enabled DESC, b.scope <> 'workspace', b.name, b.id`,
  )
  return rows.map((row) => {
    const [limitPico, spentPico] = [BigInt(row.limitPico), BigInt(row.spentPico)]
    return {
      ...row,
      scopeName: row.scope === 'key' && row.scopeName ? keyName(row.scopeName) : row.scopeName,
      limitPico,
      spentPico,
      reservedPico: BigInt(row.reservedPico),
      windowEnd: windowEnd(row.period, row.windowStart),
      percent: percentOf(spentPico, limitPico),
    }
  })
}

/** `openai sk-…1234` → `OpenAI sk-…1234`: people know a provider by its name, not by its id. */
function keyName(idAndHint: string): string {
  const [id = '', ...hint] = idAndHint.split(' ')
  return [isProviderId(id) ? providerOf(id).name : id, ...hint].join(' ')
}

export interface BudgetChoices {
  /** What the workspace is billed in: limits of new budgets are in it. */
  currency: string
  tokens: { id: string; name: string }[]
  members: { id: string; name: string }[]
  keys: { id: string; name: string }[]
}

/** What a new budget can be for. Billing admins choose among all of the workspace's. */
export async function listBudgetChoices(ctx: Ctx): Promise<BudgetChoices> {
  const { workspaceId } = ctx
  authorize(ctx, 'manage:Billing', { workspaceId })
  return inTenant({ workspaceId }, async (tx) => {
    const { currency } = await tx.workspace.findUniqueOrThrow({
      where: { id: workspaceId },
      select: { currency: true },
    })
    const tokens = await tx.gatewayToken.findMany({
      where: { workspaceId, revokedAt: null },
      select: { id: true, name: true, displayStart: true },
      orderBy: { name: 'asc' },
    })
    const members = await tx.member.findMany({
      where: { workspaceId },
      select: { userId: true, user: { select: { name: true } } },
      orderBy: { user: { name: 'asc' } },
    })
    const keys = await tx.providerKey.findMany({
      where: { workspaceId },
      select: { id: true, provider: true, hint: true },
      orderBy: { createdAt: 'asc' },
    })
    return {
      currency,
      tokens: tokens.map(({ id, name, displayStart }) => ({ id, name: `${name} (${displayStart}…)` })),
      members: members.map(({ userId, user }) => ({ id: userId, name: user.name })),
      keys: keys.map(({ id, provider, hint }) => ({ id, name: keyName(`${provider} ${hint}`) })),
    }
  })
}
