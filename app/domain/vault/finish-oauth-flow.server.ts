import { createHash } from 'node:crypto'
import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { exchangeCode } from '#app/domain/providers/connect-openrouter.server.ts'
import { inTenant } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { log } from '#app/platform/log.server.ts'
import { lockEntitledWorkspace } from './entitled-workspace.server.ts'
import { openDataKey } from './internal/data-key.server.ts'
import { oauthVerifierFields } from './internal/envelope.ts'
import { ALGORITHM, unseal, wipe } from './internal/sodium.server.ts'
import type { ConnectOutcome } from './oauth.ts'
import { saveProviderKey } from './save-provider-key.server.ts'

export interface Callback {
  /** As it stood in the callback's path. */
  nonce: string
  /** SHA-256 of the token of the session that the callback came with. */
  sessionHash: Uint8Array
  /** What OpenRouter added; null: the person did not approve. */
  code: string | null
}

const provider = 'openrouter'

interface Flow {
  nonceHash: Uint8Array
  userId: string
  verifierNonce: Uint8Array
  verifierSealed: Uint8Array
  dataKeyId: string
}

/**
 * Takes the flow, in one statement and before anything is asked of anybody: of two callbacks with one nonce, one gets it.
 * Another person's or another session's callback takes nothing away from who began it.
 */
async function claimFlow(ctx: Ctx, { nonce, sessionHash }: Callback): Promise<Flow | ConnectOutcome> {
  const { workspaceId } = ctx
  const at = ctx.now()
  const userId = ctx.actor.id
  const nonceHash = new Uint8Array(createHash('sha256').update(nonce).digest())
  return inTenant({ workspaceId }, async (tx) => {
    const own = { workspaceId, nonceHash, provider, userId, sessionHash: new Uint8Array(sessionHash) }
    const [claimed] = await tx.oauthFlow.updateManyAndReturn({
      where: { ...own, usedAt: null, expiresAt: { gt: at } },
      data: { usedAt: at },
    })
    if (claimed) return claimed
    const flow = await tx.oauthFlow.findUnique({ where: { workspaceId_nonceHash: { workspaceId, nonceHash } } })
    if (!flow) return 'unknown'
    if (flow.userId !== userId || !Buffer.from(flow.sessionHash).equals(sessionHash)) return 'other_session'
    return flow.usedAt ? 'used' : 'expired'
  })
}

/** Looked at before the code is exchanged, so that no key is made for nothing; the save looks again. */
async function refusedByPlan(ctx: Ctx): Promise<ConnectOutcome | null> {
  const { workspaceId } = ctx
  try {
    await inTenant({ workspaceId }, (tx) => lockEntitledWorkspace(tx, workspaceId, provider))
    return null
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'plan_required' || code === 'subscription_paused') return code
    throw error
  }
}

/** The verifier; null where the data key it is sealed under was destroyed since. */
async function openVerifier(workspaceId: string, flow: Flow): Promise<string | null> {
  const { nonceHash, userId, dataKeyId } = flow
  const row = await inTenant({ workspaceId }, (tx) =>
    tx.workspaceDataKey.findFirst({ where: { workspaceId, id: dataKeyId } }),
  )
  if (!row) return null
  const dataKey = await openDataKey(row)
  try {
    const fields = oauthVerifierFields({ workspaceId, provider, userId, nonceHash, dataKeyId }, ALGORITHM)
    const box = { nonce: flow.verifierNonce, sealed: flow.verifierSealed }
    return Buffer.from(unseal(box, dataKey.bytes, fields)).toString('utf8')
  } finally {
    wipe(dataKey.bytes)
  }
}

/** The way every key takes: format, probe, seal. What fails now leaves a key at OpenRouter that nobody holds: it is said. */
async function saveMinted(ctx: Ctx, key: string): Promise<ConnectOutcome> {
  try {
    const saved = await saveProviderKey(ctx, { provider, credential: key, byOauth: true })
    return saved.verification === 'unverified' ? 'connected_unverified' : 'connected'
  } catch (error) {
    const { requestId, workspaceId } = ctx
    const why = error instanceof AppError ? error.code : (error as Error).name
    log.warn({ requestId, workspaceId, why }, 'a key minted by OpenRouter was not kept')
    return 'not_kept'
  }
}

/**
 * Ends an attempt to connect OpenRouter: the nonce is used up first, then the code is exchanged from here, and the key is
 * saved sealed. It never touches the browser, and no outcome holds anything of it.
 * @throws AppError forbidden
 */
export async function finishOauthFlow(ctx: Ctx, callback: Callback): Promise<ConnectOutcome> {
  authorize(ctx, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const flow = await claimFlow(ctx, callback)
  if (typeof flow === 'string') return flow
  const { code } = callback
  if (code === null) return 'denied'
  const refused = await refusedByPlan(ctx)
  if (refused) return refused
  const verifier = await openVerifier(ctx.workspaceId, flow)
  if (verifier === null) return 'expired'
  const exchange = await exchangeCode({ code, verifier })
  if (exchange.kind === 'minted') return saveMinted(ctx, exchange.key)
  if (exchange.kind === 'away') {
    log.warn({ requestId: ctx.requestId, why: exchange.reason }, 'OpenRouter did not exchange a code')
    return 'unreachable'
  }
  return exchange.reason === 'expired' ? 'code_expired' : 'code_refused'
}
