import { recordAudit } from '#app/domain/audit/record-audit.server.ts'
import type { Ctx } from '#app/domain/permissions/permissions.ts'
import type { ProviderId } from '#app/domain/providers/provider.ts'
import { inSystem, type Tx } from '#app/platform/db.server.ts'
import { AppError } from '#app/platform/errors.ts'
import { newId } from '#app/platform/ids.ts'

/** So many keys may be tried within so many minutes, in a workspace and by a person: a script that saves all 22 kinds has room. */
const mostChecks = 50
const windowMinutes = 10

/** Namespace of the advisory locks: two processes that count the same workspace or person do it one after the other. */
const lockSpace = 7308

interface Standing {
  checks: number
  /** When the oldest of the newest `mostChecks` leaves the window; null: there are fewer. */
  freeAt: Date | null
}

/** Checks of the workspace or of the person, whichever is nearer to the limit. By the database's clock: all processes share it. */
async function standingOf(tx: Tx, workspaceId: string, userId: string): Promise<Standing> {
  const rows = await tx.$queryRaw<{ checks: number; free_at: Date | null }[]>`
    SELECT count(*)::int AS checks,
      (array_agg(c.at ORDER BY c.at DESC))[${mostChecks}::int] + make_interval(mins => ${windowMinutes}::int) AS free_at
    FROM (
      SELECT 'workspace' AS whose, at FROM provider_key_checks WHERE workspace_id = ${workspaceId}::uuid
      UNION ALL SELECT 'person', at FROM provider_key_checks WHERE user_id = ${userId}
    ) c
    WHERE c.at > now() - make_interval(mins => ${windowMinutes}::int)
    GROUP BY c.whose`
  const checks = Math.max(0, ...rows.map((row) => row.checks))
  const free = rows.flatMap((row) => row.free_at ?? []).sort((a, b) => b.getTime() - a.getTime())
  return { checks, freeAt: free[0] ?? null }
}

function refusal(freeAt: Date, now: Date): AppError {
  // The next whole minute: what is named must be true then.
  const whole = Math.ceil(freeAt.getTime() / 60_000) * 60_000
  const at = new Date(whole).toISOString().slice(11, 16)
  return new AppError(
    'rate_limited',
    'too_many_key_checks',
    `Too many keys were tried: at most ${mostChecks} in ${windowMinutes} minutes, in a workspace and by a person. Nothing was asked of the provider. Try again at ${at} UTC.`,
    { retryAfterS: Math.max(1, Math.ceil((whole - now.getTime()) / 1000)) },
  )
}

/**
 * Counts one question to a provider about a key that somebody brings, before it is asked: whoever holds a session must not be
 * able to try keys by the thousand, or to have a provider hammered in our name. Kept in PostgreSQL, so that all processes count
 * together. The audit trail says when a limit was reached, and nothing of any key.
 * @throws AppError rate_limited `too_many_key_checks`, naming when to try again
 */
export async function countKeyCheck(ctx: Ctx, provider: ProviderId): Promise<void> {
  const { workspaceId, actor } = ctx
  const freeAt = await inSystem(async (tx) => {
    for (const whose of [`workspace ${workspaceId}`, `person ${actor.id}`])
      await tx.$queryRaw`SELECT pg_advisory_xact_lock(${lockSpace}::int, hashtext(${whose}))::text`
    const { checks, freeAt } = await standingOf(tx, workspaceId, actor.id)
    if (freeAt) return freeAt
    await tx.$executeRaw`
      DELETE FROM provider_key_checks WHERE (workspace_id = ${workspaceId}::uuid OR user_id = ${actor.id})
         AND at <= now() - make_interval(mins => ${windowMinutes}::int)`
    await tx.$executeRaw`
      INSERT INTO provider_key_checks (workspace_id, id, user_id, at) VALUES (${workspaceId}::uuid, ${newId()}::uuid, ${actor.id}, clock_timestamp())`
    if (checks + 1 === mostChecks)
      await recordAudit(tx, {
        workspaceId,
        actor,
        action: 'provider_key.check_limit_reached',
        subjectType: 'workspace',
        subjectId: workspaceId,
        detail: { provider, checks: mostChecks, minutes: windowMinutes },
        at: ctx.now(),
      })
    return null
  })
  if (freeAt) throw refusal(freeAt, ctx.now())
}
