import { enqueueJob } from '#app/domain/jobs/enqueue-job.server.ts'
import { raiseNotice, resolveNoticesAbout } from '#app/domain/notifications/notices.server.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { providerOf } from '#app/domain/providers/registry.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import type { KeyReference } from './open-provider-key.server.ts'

const kind = 'payment_required'
/** The workspace is told at most this often of each key, in ms. */
const quietMs = 3_600_000

/** Tells the workspace that a provider wants money before it goes on, and asks for the balance, so that the card is fresh. */
async function tellOfRefusal(tx: Tx, { workspaceId, keyId, keyVersion }: KeyReference, at: Date): Promise<void> {
  const where = { workspaceId, id: keyId, version: keyVersion }
  const row = await tx.providerKey.findFirst({ where, select: { provider: true, hint: true } })
  if (!row) return
  const { name } = providerOf(row.provider as ProviderId)
  const raised = await raiseNotice(tx, {
    workspaceId,
    kind,
    reference: keyId,
    title: `${name} refuses calls for want of credit`,
    message: `${name} refused a call under key ${row.hint}: there is no credit left for it. Calls on this key fail until you top it up at ${name}.`,
    path: 'settings/billing',
    at,
    quietMs,
  })
  if (raised)
    await enqueueJob(
      tx,
      'poll-key-balance',
      { workspaceId, keyId },
      { jobKey: `poll-key-balance:${keyId}`, maxAttempts: 3 },
    )
}

/**
 * What calls said of the credit behind their keys: a 402, or what means the same, is told at once, without waiting for the next look at the balance;
 * a call that succeeds takes that back.
 */
export async function tellOfPayment(refused: KeyReference[], succeeded: KeyReference[], at: Date): Promise<void> {
  if (refused.length === 0 && succeeded.length === 0) return
  await inSystem(async (tx) => {
    for (const reference of refused) await tellOfRefusal(tx, reference, at)
    const about = succeeded.map(({ workspaceId, keyId }) => ({ workspaceId, reference: keyId }))
    if (about.length) await resolveNoticesAbout(tx, kind, about, at)
  })
}
