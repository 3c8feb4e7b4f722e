import { authorize, type Ctx } from '#app/domain/permissions/permissions.ts'
import { refreshKeyModels } from '#app/domain/vault/refresh-key-models.server.ts'
import { inBackground } from '#app/platform/background.server.ts'
import { getKeyCoverage, type KeyCoverage } from './key-coverage.server.ts'

/** How long a person is kept waiting for the provider's list, in ms. The job that was enqueued with the save reads it anyway. */
const patienceMs = 5_000

async function withinPatience(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise((resolve) => {
    timer = setTimeout(resolve, patienceMs)
  })
  const done = work.catch(() => null)
  inBackground(done) // it writes what it reads, also after the patience is over
  await Promise.race([done, tooLong])
  clearTimeout(timer)
}

/**
 * The coverage of a key just saved. Where the provider's list was not read yet it is read now, if that is quick; a provider
 * that cannot be asked leaves the answer open (`listedAt` null) and is no error.
 * @throws AppError not_found, alike for a missing and a foreign id
 */
export async function preflightKey(ctx: Ctx, keyId: string): Promise<KeyCoverage> {
  authorize(ctx, 'manage:Billing', { workspaceId: ctx.workspaceId })
  const known = await getKeyCoverage(ctx, keyId)
  if (known.listedAt !== null) return known
  await withinPatience(refreshKeyModels(ctx.workspaceId, keyId, ctx.now()))
  return getKeyCoverage(ctx, keyId)
}
