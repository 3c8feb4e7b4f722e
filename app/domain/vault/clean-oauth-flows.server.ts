import { inSystem } from '#app/platform/db.server.ts'

/** Ended attempts are kept for a day, so that a late callback is told what happened. In ms. */
const keptMs = 24 * 3_600_000

/** Deletes attempts to connect an account that ended a day ago. @returns how many */
export async function cleanOauthFlows(now: Date): Promise<number> {
  const { count } = await inSystem((tx) =>
    tx.oauthFlow.deleteMany({ where: { expiresAt: { lt: new Date(now.getTime() - keptMs) } } }),
  )
  return count
}
