import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { env } from '#app/platform/env.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { newId } from '#app/platform/ids.ts'
import { hashGatewayToken } from './hash-gateway-token.server.ts'
import { makeGatewayToken, tokenDisplayStart } from './tokens.ts'

/** How many live tokens a workspace may hold: a bound for the list, far above any real use. */
const LIVE_TOKENS_MAX = 200

/**
 * Makes a gateway token. The answer holds it once and for all: it is not stored.
 * @throws AppError bad_request (field `name`), conflict
 */
export async function createGatewayToken(ctx: Ctx, input: { name: string }): Promise<{ id: string; token: string }> {
  authorize(ctx, 'manage:GatewayToken', { workspaceId: ctx.workspaceId })
  const name = input.name.trim()
  if (!name || name.length > 80)
    throw new AppError(
      'bad_request',
      'invalid_name',
      'Give the token a name of 1 to 80 characters, so that you can tell it from others.',
      { field: 'name' },
    )
  const token = makeGatewayToken(env().sandbox ? 'test' : 'live')
  const id = newId()
  const at = ctx.now()
  const { workspaceId } = ctx
  await inTenant({ workspaceId }, async (tx) => {
    const live = await tx.gatewayToken.count({ where: { workspaceId, revokedAt: null } })
    if (live >= LIVE_TOKENS_MAX)
      throw new AppError(
        'conflict',
        'too_many_tokens',
        `A workspace can have ${LIVE_TOKENS_MAX} live tokens. Revoke one that is no longer used.`,
      )
    const displayStart = tokenDisplayStart(token)
    const hash = new Uint8Array(hashGatewayToken(token))
    await tx.gatewayToken.create({
      data: { workspaceId, id, name, hash, displayStart, createdBy: ctx.actor.id, createdAt: at },
    })
    await recordAudit(tx, {
      workspaceId,
      actor: ctx.actor,
      action: 'gateway_token.created',
      subjectType: 'gateway_token',
      subjectId: id,
      detail: { name, displayStart },
      at,
    })
  })
  return { id, token }
}
