import { authorize, type Ctx, type Role } from '#app/domain/permissions/permissions.ts'
import { type PlanRules, platformServes } from '#app/domain/plans/plans.ts'
import { toPlanRules } from '#app/domain/plans/queries.server.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { picoToUsd } from '#app/platform/pico.ts'

export interface MemberRow {
  userId: string
  name: string
  email: string
  role: Role
  since: string
}

/** The workspace's people by name. */
export async function listMembers(ctx: Ctx): Promise<MemberRow[]> {
  authorize(ctx, 'read:Member', { workspaceId: ctx.workspaceId })
  const rows = await inTenant({ workspaceId: ctx.workspaceId }, (tx) =>
    tx.member.findMany({
      where: { workspaceId: ctx.workspaceId },
      include: { user: { select: { name: true, email: true } } },
      orderBy: [{ user: { name: 'asc' } }, { userId: 'asc' }],
    }),
  )
  return rows.map(({ userId, role, createdAt, user }) => ({
    userId,
    name: user.name,
    email: user.email,
    role: role as Role,
    since: createdAt.toISOString(),
  }))
}

/** What decides who pays for a call of the workspace. */
export interface WorkspaceMoney {
  workspaceChargeMode: PlanRules['workspaceChargeMode']
  /** The plan's platform key, whatever the workspace has switched off. */
  platformChargeMode: PlanRules['platformChargeMode']
  workspaceMarkupBp: number
  /** Decimal text, USD. */
  keyFeeUsd: string
  keyFeeProration: PlanRules['keyFeeProration']
  /** The plan has a platform key, and the workspace has not switched it off. */
  platformServes: boolean
}

export async function getWorkspaceMoney(ctx: Ctx): Promise<WorkspaceMoney> {
  authorize(ctx, 'read:ProviderKey', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  const { plan: row, neverPlatformKey } = await inTenant({ workspaceId }, (tx) =>
    tx.workspace.findUniqueOrThrow({ where: { id: workspaceId }, include: { plan: true } }),
  )
  const plan = toPlanRules(row)
  const { workspaceChargeMode, platformChargeMode, workspaceMarkupBp, keyFeePico, keyFeeProration } = plan
  return {
    ...{ workspaceChargeMode, platformChargeMode, workspaceMarkupBp, keyFeeUsd: picoToUsd(keyFeePico) },
    keyFeeProration,
    platformServes: platformServes({ plan, neverPlatformKey }),
  }
}
