import { raiseAlert } from '#app/domain/notifications/alerts.server.ts'
import { providerOf } from '#app/domain/providers/providers.ts'
import { inSystem, systemPool } from '#app/platform/db.server.ts'
import { singleton } from '#app/platform/singleton.server.ts'
import type { Call, ReplyOutcome } from './call.ts'

/** A refusal is reported at most this often per key, in ms: a dead key refuses every call. */
const reportEveryMs = 60_000

const reported = () => singleton('gateway:reported', () => new Map<string, number>())

const codeOf: Record<number, string> = { 401: 'refused', 402: 'payment_required' }

/** Marks the workspace's key with what the provider says of it: the card shows it. The key stays, and fails visibly. */
async function markKey(call: Call, code: string): Promise<void> {
  const { workspaceId, keyId, keyVersion } = call.dispatch
  await systemPool().query(
    'UPDATE provider_keys SET last_error_code = $4, last_error_at = now() WHERE workspace_id = $1 AND id = $2 AND version = $3',
    [workspaceId, keyId, keyVersion, code],
  )
}

/** Tells the operators that the platform's own key is refused: every workspace without a key of its own is down. */
async function alertOperators(call: Call, status: number): Promise<void> {
  const { name } = providerOf(call.provider)
  const message = `${name} refuses the platform key with status ${status}. Calls on it fail; check the key and its credit.`
  await inSystem((tx) =>
    raiseAlert(tx, { kind: 'platform_key_refused', reference: call.provider, message, at: new Date() }),
  )
}

/** Reports that a provider refused a key (401), or for want of money (402). Nothing waits for it. */
export function reportRefusal(call: Call, outcome: ReplyOutcome): void {
  const code = codeOf[outcome.httpStatus ?? 0]
  if (code === undefined) return
  const { keySource, keyId } = call.dispatch
  const subject = `${keyId ?? 'platform'} ${code}`
  const now = performance.now()
  if (now - (reported().get(subject) ?? Number.NEGATIVE_INFINITY) < reportEveryMs) return
  reported().set(subject, now)
  const report = keySource === 'workspace' ? markKey(call, code) : alertOperators(call, outcome.httpStatus ?? 0)
  report.catch(() => reported().delete(subject))
}
