import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { noteKeyHealth } from '#app/domain/vault/note-key-health.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Call, ReplyOutcome } from './call.ts'

/** The operators are told at most this often of each provider, in ms: a dead platform key refuses every call. */
const reportEveryMs = 60_000

/** Last report of each provider's platform key, on the monotonic clock. */
const reported = () => singleton('gateway:reported', () => new Map<string, number>())

/** What a provider's status says of the key itself. Others say nothing of it. */
const codeOf: Record<number, string> = { 401: 'refused', 402: 'payment_required', 403: 'permission_denied' }

/** Tells the operators that the platform's own key is refused: every workspace without a key of its own is down. */
function alertOperators(call: Call, status: number | null): void {
  const { id, name } = call.provider
  const now = performance.now()
  if (now - (reported().get(id) ?? Number.NEGATIVE_INFINITY) < reportEveryMs) return
  reported().set(id, now)
  const message = `${name} refuses the platform key with status ${status}. Calls on it fail; check the key and its credit.`
  inSystem((tx) => raiseAlert(tx, { kind: 'platform_key_refused', reference: id, message, at: new Date() })).catch(() =>
    reported().delete(id),
  )
}

/**
 * Reports what the reply says of the key it went out under: the workspace's own on its card, the platform's to the
 * operators. Nothing waits for it.
 */
export function reportOnKey(call: Call, outcome: ReplyOutcome): void {
  const { workspaceId, keyId, keyVersion } = call.dispatch
  const code = outcome.ending === 'refused' ? codeOf[outcome.httpStatus ?? 0] : undefined
  if (keyId === null || keyVersion === null) {
    if (code === 'refused' || code === 'payment_required') alertOperators(call, outcome.httpStatus)
    return
  }
  const key = { workspaceId, keyId, keyVersion }
  if (code !== undefined) noteKeyHealth(key, { ok: false, code, text: outcome.refusalText ?? '' })
  else if (outcome.ending === 'complete') noteKeyHealth(key, { ok: true })
}
