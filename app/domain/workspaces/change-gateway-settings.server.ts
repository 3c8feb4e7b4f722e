import { type AuditDetail, changedDetail } from '#app/domain/audit/audit.ts'
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { lockWorkspace } from './change-plan.server.ts'
import { type GatewaySettings, readTypedUsd } from './gateway-settings.ts'

/**
 * A setting, its audit row and the raised epoch in one transaction: the next call anywhere is decided by it.
 * @param write gives what the audit row says of it
 */
async function change(
  ctx: Ctx,
  action: string,
  write: (tx: Tx, workspaceId: string, at: Date) => Promise<AuditDetail>,
): Promise<void> {
  authorize(ctx, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  const at = ctx.now()
  await inTenant({ workspaceId }, async (tx) => {
    await lockWorkspace(tx, workspaceId)
    const detail = await write(tx, workspaceId, at)
    const subject = { subjectType: 'workspace', subjectId: workspaceId }
    await recordAudit(tx, { workspaceId, actor: ctx.actor, action, ...subject, detail, at })
    await tx.workspace.update({ where: { id: workspaceId }, data: { keyEpoch: { increment: 1 } } })
  })
}

const findWorkspace = (tx: Tx, id: string) => tx.workspace.findUniqueOrThrow({ where: { id } })

/** What a surface may fall back for, as the audit trail says it; nothing where it may not. */
async function findCap(tx: Tx, workspaceId: string, surface: string): Promise<AuditDetail> {
  const row = await tx.surfaceFallback.findUnique({ where: { workspaceId_surface: { workspaceId, surface } } })
  return row ? { dailyCapUsd: row.dailyCapUsd.toFixed() } : {}
}

function typedUsd(text: string, field: string): string {
  const usd = readTypedUsd(text)
  if (usd !== null) return usd
  throw new AppError(
    'bad_request',
    'invalid_amount',
    'Enter an amount in dollars above 0 and up to 100,000, such as 5 or 12.50.',
    {
      field,
    },
  )
}

/** The switch that keeps every call off the platform's key: an absent key is a clear 400 then, never a bill. */
export const setNeverPlatformKey = (ctx: Ctx, { on }: { on: boolean }): Promise<void> =>
  change(ctx, 'workspace.never_platform_key_set', async (tx, id) => {
    const { neverPlatformKey } = await findWorkspace(tx, id)
    await tx.workspace.update({ where: { id }, data: { neverPlatformKey: on } })
    return changedDetail({ on: neverPlatformKey }, { on })
  })

/**
 * Below which balance of a key the workspace is told.
 * @throws AppError bad_request `invalid_amount`
 */
export async function setLowBalance(ctx: Ctx, { usd }: { usd: string }): Promise<void> {
  const amount = typedUsd(usd, 'lowBalanceUsd')
  await change(ctx, 'workspace.low_balance_set', async (tx, id) => {
    const { lowBalanceUsd } = await findWorkspace(tx, id)
    await tx.workspace.update({ where: { id }, data: { lowBalanceUsd: amount } })
    return changedDetail({ usd: lowBalanceUsd.toFixed() }, { usd: amount })
  })
}

/**
 * Allows the calls of a surface to go out again under the platform's key where the provider answers 429 or 5xx, up to an
 * amount per UTC day. Off unless this was asked for.
 * @throws AppError bad_request `invalid_amount`, `unknown_surface`, `surface_on_platform_key`
 */
export async function allowFallback(ctx: Ctx, input: { surface: string; dailyCapUsd: string }): Promise<void> {
  const { surface } = input
  const dailyCapUsd = typedUsd(input.dailyCapUsd, 'dailyCapUsd')
  await change(ctx, 'workspace.fallback_allowed', async (tx, workspaceId, updatedAt) => {
    const known = await tx.surface.findUnique({ where: { id: surface } })
    if (!known) throw new AppError('bad_request', 'unknown_surface', 'There is no such surface.', { field: 'surface' })
    if (known.background)
      throw new AppError('bad_request', 'surface_on_platform_key', 'This surface uses the platform key anyway.', {
        field: 'surface',
      })
    const before = await findCap(tx, workspaceId, surface)
    await tx.surfaceFallback.upsert({
      where: { workspaceId_surface: { workspaceId, surface } },
      create: { workspaceId, surface, dailyCapUsd, updatedAt },
      update: { dailyCapUsd, updatedAt },
    })
    return changedDetail(before, { surface, dailyCapUsd })
  })
}

export const forbidFallback = (ctx: Ctx, { surface }: { surface: string }): Promise<void> =>
  change(ctx, 'workspace.fallback_forbidden', async (tx, workspaceId) => {
    const before = await findCap(tx, workspaceId, surface)
    await tx.surfaceFallback.deleteMany({ where: { workspaceId, surface } })
    return { surface, ...before }
  })

/** What the workspace has decided. */
export async function getGatewaySettings(ctx: Ctx): Promise<GatewaySettings> {
  authorize(ctx, 'read:ProviderKey', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  return inTenant({ workspaceId }, async (tx) => {
    const workspace = await tx.workspace.findUniqueOrThrow({ where: { id: workspaceId } })
    const fallbacks = await tx.surfaceFallback.findMany({ where: { workspaceId }, orderBy: { surface: 'asc' } })
    return {
      neverPlatformKey: workspace.neverPlatformKey,
      lowBalanceUsd: workspace.lowBalanceUsd.toFixed(),
      fallbacks: fallbacks.map(({ surface, dailyCapUsd }) => ({ surface, dailyCapUsd: dailyCapUsd.toFixed() })),
    }
  })
}
