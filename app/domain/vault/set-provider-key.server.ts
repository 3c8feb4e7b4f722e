import { type AuditDetail, changedDetail } from '#app/domain/audit/audit.ts'
import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'
import { AppError, notFound } from '#app/platform/errors.ts'
import { isId } from '#app/platform/ids.ts'
import { lockEntitledWorkspace, lockWorkspaceRow, raiseKeyEpoch } from './entitled-workspace.server.ts'
import { checkKeyName } from './key-name.ts'
import { forgetOpenKeys } from './open-provider-key.server.ts'

export interface KeyChange {
  keyId: string
  enabled?: boolean | undefined
  name?: string | undefined
  /** Place among the provider's keys, 0 the first; the others make room. */
  position?: number | undefined
  /** Model ids as callers name them; empty: all. */
  allowedModels?: string[] | undefined
  /** Surface ids; empty: all. */
  allowedSurfaces?: string[] | undefined
}

const mostAllowed = 500

const refuse = (field: string, text: string) => new AppError('bad_request', 'invalid_input', text, { field })

function checkModels(models: string[] | undefined): string[] | undefined {
  if (!models) return undefined
  const clean = [...new Set(models.map((model) => model.trim()).filter((model) => model !== ''))]
  if (clean.length > mostAllowed) throw refuse('allowedModels', `A key is held to at most ${mostAllowed} models`)
  if (!clean.every((model) => /^[\x21-\x7e]{1,256}$/.test(model)))
    throw refuse('allowedModels', 'One of the models is no model id')
  return clean
}

async function checkSurfaces(tx: Tx, surfaces: string[] | undefined): Promise<string[] | undefined> {
  if (!surfaces) return undefined
  const wanted = [...new Set(surfaces)]
  const known = await tx.surface.findMany({ where: { id: { in: wanted } }, select: { id: true } })
  if (known.length !== wanted.length) throw refuse('allowedSurfaces', 'One of the surfaces does not exist')
  return wanted
}

/** Puts a key in its place and numbers its provider's keys anew. */
async function moveKey(tx: Tx, workspaceId: string, provider: string, keyId: string, position: number): Promise<void> {
  const keys = await tx.providerKey.findMany({
    where: { workspaceId, provider },
    orderBy: [{ position: 'asc' }, { createdAt: 'asc' }],
    select: { id: true },
  })
  const order = keys.map((key) => key.id).filter((id) => id !== keyId)
  order.splice(Math.max(0, Math.min(position, order.length)), 0, keyId)
  for (const [place, id] of order.entries())
    await tx.providerKey.update({ where: { workspaceId_id: { workspaceId, id } }, data: { position: place } })
}

/** Nobody asked about a key while it was off: whether it still works, and which models it can call now. */
async function askAgain(tx: Tx, workspaceId: string, keyId: string): Promise<void> {
  const payload = { workspaceId, keyId }
  await enqueueJob(tx, 'reprobe-provider-key', payload, { jobKey: `reprobe:${keyId}` })
  await enqueueJob(tx, 'refresh-key-models', payload, { jobKey: `models:${keyId}`, maxAttempts: 5 })
}

const actionOf = ({ enabled }: KeyChange, before: { enabled: boolean }): string => {
  if (enabled === undefined || enabled === before.enabled) return 'provider_key.changed'
  return enabled ? 'provider_key.enabled' : 'provider_key.disabled'
}

/** What the audit trail says of a key's use. */
const termsOf = ({ enabled, name, position, allowedModels, allowedSurfaces }: Omit<KeyChange, 'keyId'>) => ({
  ...{ enabled, name, position, models: allowedModels?.join(' '), surfaces: allowedSurfaces?.join(' ') },
})

/** The members that were given, by name: `undefined` is "leave it". */
const given = <T extends object>(members: T): Partial<T> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Partial<T>

/**
 * Changes what a saved key is used for: on or off, its name, its place, and the models and surfaces it is held to. The secret
 * is not touched. Enabling needs the plan; everything else is allowed on every plan.
 * @throws AppError not_found, bad_request, forbidden `plan_required`, conflict `subscription_paused`
 */
export async function setProviderKey(ctx: Ctx, change: KeyChange): Promise<void> {
  authorize(ctx, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const { workspaceId } = ctx
  const { keyId, enabled, position } = change
  if (!isId(keyId)) throw notFound('Provider key')
  const name = checkKeyName(change.name)
  const allowedModels = checkModels(change.allowedModels)
  await inTenant({ workspaceId }, async (tx) => {
    await lockWorkspaceRow(tx, workspaceId)
    const before = await tx.providerKey.findFirst({ where: { workspaceId, id: keyId } })
    if (!before) throw notFound('Provider key')
    if (enabled === true) await lockEntitledWorkspace(tx, workspaceId, before.provider)
    const allowedSurfaces = await checkSurfaces(tx, change.allowedSurfaces)
    const switchedOff = enabled === undefined ? undefined : !enabled
    const data = given({ enabled, switchedOff, name, allowedModels, allowedSurfaces })
    await tx.providerKey.update({ where: { workspaceId_id: { workspaceId, id: keyId } }, data })
    if (position !== undefined) await moveKey(tx, workspaceId, before.provider, keyId, position)
    if (enabled === true && !before.enabled) await askAgain(tx, workspaceId, keyId)
    await recordAudit(tx, {
      workspaceId,
      actor: ctx.actor,
      action: actionOf(change, before),
      subjectType: 'provider_key',
      subjectId: keyId,
      detail: {
        provider: before.provider,
        hint: before.hint,
        ...changedDetail(
          termsOf(before) as AuditDetail,
          given(termsOf({ enabled, name, position, allowedModels, allowedSurfaces })) as AuditDetail,
        ),
      },
      at: ctx.now(),
    })
    await raiseKeyEpoch(tx, workspaceId)
  })
  forgetOpenKeys(workspaceId)
}
