import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { providerOf } from '#app/domain/providers/providers.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Call, ReplyOutcome } from './call.ts'

/** A refusal is reported at most this often per key, in ms: a dead key refuses every call. */
const reportEveryMs = 60_000
/** Keys whose refusals are remembered; beyond it the memory starts afresh, and some are reported once more. */
const mostRemembered = 10_000

/** Last report of each key, on the monotonic clock: `key id` → ms. `platform` is the platform's own. */
const reported = () => singleton('gateway:reported', () => new Map<string, number>())

/** What the provider's status says of the key itself: it is dead, or out of money. Others say nothing of it. */
const codeOf: Record<number, string> = { 401: 'refused', 402: 'payment_required' }

/** Marks the workspace's key with what the provider says of it: the card shows it. The key stays, and fails visibly. */
async function markKey(call: Call, code: string | null): Promise<void> {
  const { workspaceId, keyId, keyVersion } = call.dispatch
  await systemPool().query(
    `UPDATE provider_keys SET last_error_code = $4, last_error_at = CASE WHEN $4::text IS NULL THEN NULL ELSE now() END
      WHERE workspace_id = $1 AND id = $2 AND version = $3`,
    [workspaceId, keyId, keyVersion, code],
  )
}

/** Tells the operators that the platform's own key is refused: every workspace without a key of its own is down. */
async function alertOperators(call: Call, status: number | null): Promise<void> {
  const { name } = providerOf(call.provider)
  const message = `${name} refuses the platform key with status ${status}. Calls on it fail; check the key and its credit.`
  await inSystem((tx) =>
    raiseAlert(tx, { kind: 'platform_key_refused', reference: call.provider, message, at: new Date() }),
  )
}

function reportRefusal(call: Call, status: number | null, code: string): void {
  const { keySource, keyId } = call.dispatch
  const subject = keyId ?? 'platform'
  const now = performance.now()
  if (now - (reported().get(subject) ?? Number.NEGATIVE_INFINITY) < reportEveryMs) return
  if (reported().size >= mostRemembered) reported().clear()
  reported().set(subject, now)
  const report = keySource === 'workspace' ? markKey(call, code) : alertOperators(call, status)
  report.catch(() => reported().delete(subject))
}

/**
 * Reports that a provider refused the key of a call, or takes the report back when it serves the key again. Nothing waits
 * for it.
 */
export function reportOnKey(call: Call, outcome: ReplyOutcome): void {
  const code = outcome.ending === 'refused' ? codeOf[outcome.httpStatus ?? 0] : undefined
  if (code !== undefined) {
    reportRefusal(call, outcome.httpStatus, code)
    return
  }
  const { keyId } = call.dispatch
  if (outcome.ending !== 'complete' || keyId === null || !reported().delete(keyId)) return
  markKey(call, null).catch(() => null)
}
