import { createHash, randomBytes } from 'node:crypto'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { authorizationUrl } from '#app/domain/providers/connect-openrouter.server.ts'
import { inTenant, type Tx } from '#app/platform/db.server.ts'
import { env } from '#app/platform/env.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { lockEntitledWorkspace } from './entitled-workspace.server.ts'
import { ensureDataKey } from './internal/data-key.server.ts'
import { oauthVerifierFields } from './internal/envelope.ts'
import { ALGORITHM, seal, wipe } from './internal/sodium.server.ts'
import { FLOW_MAX_MS, readLimitUsd } from './oauth.ts'

export interface StartInput {
  /** SHA-256 of the session's token: the callback must come with the same session. */
  sessionHash: Uint8Array
  /** Path of the callback on this site, without the nonce and without a slash at the end. */
  callbackPath: string
  /** As typed; empty: no limit. */
  limitUsd: string
}

const provider = 'openrouter'

/** Attempts of one workspace that may be open at once: more is a script, not a person with many tabs. */
const mostOpen = 50

async function storeFlow(tx: Tx, ctx: Ctx, flow: { nonceHash: Buffer; sessionHash: Uint8Array; verifier: string }) {
  const { workspaceId } = ctx
  const userId = ctx.actor.id
  const at = ctx.now()
  const open = await tx.oauthFlow.count({ where: { workspaceId, usedAt: null, expiresAt: { gt: at } } })
  if (open >= mostOpen)
    throw new AppError(
      'rate_limited',
      'too_many_flows',
      'Too many attempts are open. Wait ten minutes and try again.',
      {
        retryAfterS: 600,
      },
    )
  const dataKey = await ensureDataKey(tx, workspaceId)
  const identity = { workspaceId, provider, userId, nonceHash: flow.nonceHash, dataKeyId: dataKey.id }
  const plain = Buffer.from(flow.verifier, 'utf8')
  const box = seal(plain, dataKey.bytes, oauthVerifierFields(identity, ALGORITHM))
  wipe(plain)
  wipe(dataKey.bytes)
  await tx.oauthFlow.create({
    data: {
      workspaceId,
      nonceHash: new Uint8Array(flow.nonceHash),
      provider,
      userId,
      sessionHash: new Uint8Array(flow.sessionHash),
      verifierNonce: new Uint8Array(box.nonce),
      verifierSealed: new Uint8Array(box.sealed),
      dataKeyId: dataKey.id,
      createdAt: at,
      expiresAt: new Date(at.getTime() + FLOW_MAX_MS),
    },
  })
}

/**
 * Begins to connect the workspace's OpenRouter account (OAuth PKCE, S256). The nonce travels in the callback's path, the
 * verifier stays here, sealed. Any number of attempts may be open, each with its own nonce.
 * @returns the address to send the person to
 * @throws AppError bad_request (field `limitUsd`), forbidden, `plan_required`, conflict `subscription_paused`, rate_limited
 */
export async function startOauthFlow(ctx: Ctx, input: StartInput): Promise<string> {
  const { workspaceId } = ctx
  authorize(ctx, 'manage:Billing', { workspaceId })
  const limitUsd = readLimitUsd(input.limitUsd)
  if (limitUsd === undefined)
    throw new AppError(
      'bad_request',
      'invalid_amount',
      'Enter dollars above 0, such as 25 or 12.50, or leave it empty.',
      {
        field: 'limitUsd',
      },
    )
  const nonce = randomBytes(32).toString('base64url')
  const verifier = randomBytes(48).toString('base64url')
  const nonceHash = createHash('sha256').update(nonce).digest()
  await inTenant({ workspaceId }, async (tx) => {
    await lockEntitledWorkspace(tx, workspaceId, provider)
    await storeFlow(tx, ctx, { nonceHash, sessionHash: input.sessionHash, verifier })
  })
  const challenge = createHash('sha256').update(verifier).digest('base64url')
  return authorizationUrl({ callbackUrl: `${env().appOrigin}${input.callbackPath}/${nonce}`, challenge, limitUsd })
}
