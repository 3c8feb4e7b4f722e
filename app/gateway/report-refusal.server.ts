import { raiseAlert, resolveAlert } from '#app/domain/notifications/alerts.server.ts'
import { noteKeyHealth } from '#app/domain/vault/note-key-health.server.ts'
import { inBackground } from '#app/platform/background.server.ts'
import { inSystem } from '#app/platform/db.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Call, ReplyOutcome } from './call.ts'

/** The operators are told at most this often of each provider, in ms: a dead platform key refuses every call. */
const reportEveryMs = 60_000

/**
 * While the platform key works, the alert about it is looked for this often, in ms: another process may have raised it, and
 * then never sees a success itself.
 */
const lookEveryMs = 5 * 60_000

interface PlatformKeys {
  /** Last report of each provider's key, and the last look for an alert while it works, on the monotonic clock. */
  reported: Map<string, number>
  looked: Map<string, number>
}

const platformKeys = (): PlatformKeys =>
  singleton('gateway:platform-keys', () => ({ reported: new Map(), looked: new Map() }))

const within = (times: Map<string, number>, id: string, ms: number): boolean =>
  performance.now() - (times.get(id) ?? Number.NEGATIVE_INFINITY) < ms

/** What a refusal, by the code that its caller gets, says of the key itself. Others say nothing of it. */
const codeOf: Record<string, string> = {
  provider_key_rejected: 'refused',
  provider_payment_required: 'payment_required',
  provider_permission_denied: 'permission_denied',
}

/** Tells the operators that the platform's own key is refused: every workspace without a key of its own is down. */
function alertOperators(call: Call, status: number | null): void {
  const { id, name } = call.provider
  const { reported } = platformKeys()
  if (within(reported, id, reportEveryMs)) return
  reported.set(id, performance.now())
  const message = `${name} refuses the platform key with status ${status}. Calls on it fail; check the key and its credit.`
  const alert = { kind: 'platform_key_refused', reference: id, message, at: new Date() }
  inBackground(inSystem((tx) => raiseAlert(tx, alert)).catch(() => reported.delete(id)))
}

/**
 * The platform's key works: an alert about it is over. No query per call: one at the first success, then one where this
 * process reported it since and the last is a minute ago, else every few minutes.
 */
function calmOperators(call: Call): void {
  const { id } = call.provider
  const { reported, looked } = platformKeys()
  const isNews = (reported.get(id) ?? 0) > (looked.get(id) ?? 0)
  if (within(looked, id, isNews ? reportEveryMs : lookEveryMs)) return
  looked.set(id, performance.now())
  const resolved = inSystem((tx) => resolveAlert(tx, 'platform_key_refused', id, new Date()))
  inBackground(resolved.catch(() => looked.delete(id)))
}

/**
 * Reports what the reply says of the key it went out under: the workspace's own on its card, the platform's to the
 * operators. Nothing waits for it.
 */
export function reportOnKey(call: Call, outcome: ReplyOutcome): void {
  const { workspaceId, keyId, keyVersion } = call.dispatch
  const said = outcome.ending === 'refused' ? (outcome.errorCode ?? '') : ''
  if (keyId === null || keyVersion === null) {
    if (said === 'platform_key_rejected') alertOperators(call, outcome.httpStatus)
    else if (outcome.ending === 'complete') calmOperators(call)
    return
  }
  const key = { workspaceId, keyId, keyVersion }
  const code = codeOf[said]
  if (code !== undefined) noteKeyHealth(key, { ok: false, code, text: outcome.refusalText ?? '' })
  else if (outcome.ending === 'complete') noteKeyHealth(key, { ok: true })
}
